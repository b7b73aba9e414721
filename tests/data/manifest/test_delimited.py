import pytest

from mmml.data.manifest.delimited import read_csv
from mmml.errors import UserError


def sheet(tmp_path, content, encoding="utf-8"):
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode(encoding))
    return read_csv(path)


def cells(tmp_path, content, encoding="utf-8"):
    return sheet(tmp_path, content, encoding).table.to_pydict()


def refusal(tmp_path, content):
    with pytest.raises(UserError) as error:
        sheet(tmp_path, content)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_cells_are_read_as_they_are_written(tmp_path):
    found = cells(tmp_path, "id,label,text\n007,2021-01-01,1e5\n12345678901234567890,+1,True\n")
    assert found == {
        "id": ["007", "12345678901234567890"],
        "label": ["2021-01-01", "+1"],
        "text": ["1e5", "True"],
    }


@pytest.mark.parametrize("spelt", ["", "NaN", "nan", "null", "NULL"])
def test_what_is_missing_is_missing_however_it_is_spelt(tmp_path, spelt):
    found = sheet(tmp_path, f"label,text\na,{spelt}\n{spelt},NA\n")
    assert found.table.to_pydict() == {"label": ["a", None], "text": [None, "NA"]}
    assert found.notes == ([f"{spelt} in 2 cells, taken as missing"] if spelt else [])


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_dialects_of_spreadsheets(tmp_path, delimiter, end, encoding):
    lines = (
        ["label", "text", "score"],
        ["ä", f'"x{delimiter} ""y"""', "1"],
        ["b", '"two\nlines"', "2"],
    )
    text = end.join(delimiter.join(line) for line in lines) + end
    found = cells(tmp_path, text, encoding)
    assert found == {
        "label": ["ä", "b"],
        "text": [f'x{delimiter} "y"', "two\nlines"],
        "score": ["1", "2"],
    }


def test_a_first_line_may_name_the_delimiter(tmp_path):
    found = sheet(tmp_path, "sep=;\nlabel;a,b,c,d,e\nx;1\n")
    assert found.table.to_pydict() == {"label": ["x"], "a,b,c,d,e": ["1"]} and found.decimal == ","
    assert "row 2 (line 4) has 1 cells" in refusal(tmp_path, "sep=;\nlabel;text\nx;1\ny\n")


def test_a_number_that_a_spreadsheet_was_told_is_a_text(tmp_path):
    assert cells(tmp_path, 'id,text\n"=""007""",a\n="08",=b\n') == {
        "id": ["007", "08"],
        "text": ["a", "=b"],
    }


def test_empty_columns_behind_the_last_and_empty_rows(tmp_path):
    found = sheet(tmp_path, "label,text,,\na,x,,\n,,,\n\nb,y,,,,\n,,,\n")
    assert found.table.to_pydict() == {"label": ["a", "b"], "text": ["x", "y"]}
    assert found.left_out == {"without any value": 2}
    assert found.notes == ["empty cells after the last column in 1 row"]


def test_a_text_alone_keeps_its_comma_or_is_refused(tmp_path):
    assert "row 2 (line 3) has 2 cells where the header names 1" in refusal(
        tmp_path, "text\nno\nyes,\n"
    )
    assert cells(tmp_path, 'text\n"yes,"\n') == {"text": ["yes,"]}


def test_rows_of_one_cell_are_rows_though_nothing_is_in_their_quotes(tmp_path):
    assert cells(tmp_path, 'text\na\n""\n\nb\n""\n\n') == {"text": ["a", None, None, "b", None]}


def test_a_column_without_a_name_that_holds_something_is_one(tmp_path):
    assert cells(tmp_path, ",label\n0,a\n1,b\n") == {"column 1": ["0", "1"], "label": ["a", "b"]}


def test_quotation_marks_within_a_cell_stay(tmp_path):
    assert cells(tmp_path, 'label,text\na,a 5" screen\nb,so "he" said\n')["text"] == [
        'a 5" screen',
        'so "he" said',
    ]


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        # As cases of no quoting have it.
        (['c0,"I said so', "c0,text", 'c1,"and so did I', "c1,text"], "lines 2 to 4"),
        (["c0,text", 'c1,"never closed', "c2,text"], "lines 3 to 4"),
        (['c0,"quoted" and on'], "line 2"),
        (['c0,"quoted" ,c1'], "line 2"),
    ],
)
def test_a_quotation_mark_that_is_not_closed_swallows_nothing(tmp_path, rows, lines):
    message = refusal(tmp_path, "label,text\n" + "\n".join(rows) + "\n")
    assert f"{lines} cannot be read as a row" in message and "double those within it" in message


def test_rows_within_a_cell_are_reported(tmp_path):
    rows = ['a,"I said', "b,text", 'a,he did"', "b,last"]
    found = sheet(tmp_path, "label,text\n" + "\n".join(rows) + "\n")
    assert found.table.num_rows == 2
    assert found.problems == {
        0: (
            "its text (lines 2 to 4 of the file) holds what looks like 2 more rows; "
            "is the quotation mark at its beginning never closed?"
        )
    }


@pytest.mark.parametrize(
    "text",
    [
        "Dear Sir,\nthanks, bye",
        "Roses are red,\nviolets are blue,\nso am I",
        "one\ntwo\nthree",
        "x\ny,z,w\nv",
    ],
)
def test_texts_of_several_lines_are_no_rows(tmp_path, text):
    found = sheet(tmp_path, f'label,text\na,"{text}"\nb,other\n')
    assert found.problems == {} and found.table["text"][0].as_py() == text


def test_swallowed_rows_in_a_column_before_the_last(tmp_path):
    rows = ['1,"x,a', '2,y",b', "3,z,b"]
    # One cell over two lines.
    assert list(sheet(tmp_path, "id,text,label\n" + "\n".join(rows) + "\n").problems) == []
    rows = ['1,"x,a', "2,y,b", '3,z",b', "4,w,b"]
    assert list(sheet(tmp_path, "id,text,label\n" + "\n".join(rows) + "\n").problems) == [0]


@pytest.mark.parametrize(
    ("rows", "problems"),
    [
        (['"I said so,a', 'he did",b', "x,a"], [0]),
        (["x,a", '"I said so,a', "y,b", 'he did",b'], [1]),
        (['"', "x,a", ",", "y,b", '",a'], [0]),
        (['"', "x,new", "y,a", '",a'], [0]),
        (['"Roses, red,', 'violets, blue",a', "x,b"], []),
        (['"one', 'two",a', "x,b"], []),
    ],
)
def test_swallowed_rows_in_the_first_column(tmp_path, rows, problems):
    assert list(sheet(tmp_path, "text,label\n" + "\n".join(rows) + "\n").problems) == problems


def test_what_no_utf_8_is_is_named_by_its_line(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"label,text\na,b\nc,\xe9\n")
    with pytest.raises(UserError, match="line 3 is not UTF-8; save the file as UTF-8"):
        read_csv(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_bytes("label,text\n".encode("utf-16") + b"\x00")
    with pytest.raises(UserError, match="it is not UTF-16; save the file as UTF-8"):
        read_csv(tmp_path / "t.csv")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_wide_characters_without_a_mark_are_named(tmp_path, encoding):
    (tmp_path / "t.csv").write_bytes("label,text\na,b\n".encode(encoding))
    with pytest.raises(
        UserError, match="UTF-16 without a byte order mark, or UTF-32; save the file as UTF-8"
    ):
        read_csv(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("header", "rows", "problems"),
    [
        ("image_file_name,text", ["a.png,x", 'b.png,"y', "c.png,z", 'd.png,5"', "e.png,w"], [1]),
        ("image_file_name,text", ["a.png,x", 'b.png,"y', 'c.png,5"', "d.png,w"], [1]),
        ("text,image_file_name", ["x,a.png", '"y,b.png', "z,c.png", '5",d.png', "w,e.png"], [1]),
        ("text,score", ["x,1.5", '"y,2.5', "z,3", '5",4', "w,5"], [1]),
        ("text,score", ["x,1.5", '"it is 5,99', "and 6,50", 'or more",4', "w,5"], []),
        (
            "image_file_name,text",
            ["a.png,x", 'b.png,"Dear Sir,', "thank you, so", 'much, bye"'],
            [],
        ),
    ],
)
def test_rows_that_share_no_cell_with_others_are_known_by_kinds(tmp_path, header, rows, problems):
    assert list(sheet(tmp_path, "\n".join([header, *rows]) + "\n").problems) == problems


def test_a_header_that_comes_again_is_no_row(tmp_path):
    found = sheet(tmp_path, "text,label\na,b\n\ufefftext,label\nc,d\n")
    assert found.table.to_pydict() == {"text": ["a", "c"], "label": ["b", "d"]}
    assert found.left_out == {"repeating the header": 1}
    # A row of one cell may say anything.
    assert cells(tmp_path, "text\na\ntext\n") == {"text": ["a", "text"]}


def test_quotation_marks_behind_a_blank_are_none_of_the_cell(tmp_path):
    found = sheet(tmp_path, '"text", "label"\n"a", "cat"\n"b", cat\n"c", a "b"\n')
    assert found.table.to_pydict() == {"text": ["a", "b", "c"], "label": ["cat", " cat", ' a "b"']}
    assert found.notes == ["1 cell in quotation marks after a space, read without both"]
    assert "without a blank before the mark" in refusal(tmp_path, 'text,label\n"a", "b, c"\n')


@pytest.mark.parametrize("spelt", [" NaN", "nan ", "#N/A", "<NA>", "NaT", r"\N"])
def test_what_is_missing_may_have_blanks_or_other_spellings(tmp_path, spelt):
    assert cells(tmp_path, f"label,text\na,{spelt}\n") == {"label": ["a"], "text": [None]}


def test_utf_32_is_named_and_a_second_mark_is_none_of_the_name(tmp_path):
    (tmp_path / "t.csv").write_bytes("label,text\na,b\n".encode("utf-32"))
    with pytest.raises(
        UserError, match="UTF-16 without a byte order mark, or UTF-32; save the file as UTF-8"
    ):
        read_csv(tmp_path / "t.csv")
    assert cells(tmp_path, "\ufeff\ufefftext\na\n") == {"text": ["a"]}
