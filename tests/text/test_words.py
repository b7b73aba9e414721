from mmml.text.words import words


def test_words_are_letters_and_digits_in_lower_case():
    made = ["latin", "small", "letter", "u", "00e6", "ae", "ligature"]
    assert words("Latin small letter U+00E6, AE-ligature_") == made


def test_marks_belong_to_their_letters():
    assert words("हिन्दी का") == ["हिन्दी", "का"]
    assert words("Cafe\u0301!") == ["cafe\u0301"]
