import pytest

from mmml.data.base import datasets
from mmml.data.datasets.meld_mustard import scenes
from mmml.errors import UserError

LINES = (
    "Why don't you just lie down on the floor and swim there?",
    "We've kind of been involved in a five-year experiment.",
    "My limbic system wants to take your pants off.",
)


def build(root, **options):
    section = {
        "name": "meld_mustard",
        "root": str(root),
        "train": "emotion",
        "val": "sentiment",
        "test": "sarcasm",
    }
    return datasets.build_section(section | options, "dataset")


def test_each_split_asks_a_question_of_its_own(real_data):
    parts = build(real_data).load(["text"])
    assert parts["train"].classes == [
        f"emotion/{e}"
        for e in ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
    ]
    assert parts["val"].classes == ["sentiment/negative", "sentiment/neutral", "sentiment/positive"]
    assert parts["test"].classes == ["sarcasm/sarcastic", "sarcasm/sincere"]
    train = parts["train"]
    # As in MELD's training file.
    assert train.counts.tolist() == [1109, 271, 268, 1743, 4710, 683, 1205]
    assert len(train.columns["text"].values) == 9989 and len(set(train.groups.tolist())) == 1038
    assert parts["val"].counts.tolist() == [406, 470, 233]
    angry = train.columns["text"].values[:1109]
    # This sentence stands in the file of the validation split.
    assert "Oh my God, he’s lost it. He’s totally lost it." not in set(train.columns["text"].values)
    assert len(set(angry.tolist())) > 900


def test_no_sentence_of_the_test_was_in_the_training_split(real_data):
    """MUStARD has scenes of the series that MELD transcribes: 208 of 690 utterances stand in
    MELD's training file.
    """
    parts = build(real_data).load(["text"])
    known = set(parts["train"].columns["text"].values.tolist())
    again = [t for t in parts["test"].columns["text"].values if t in known]
    assert all(len(t.split()) < 5 for t in again) and len(again) < 10


def test_lines_of_one_scene_are_a_group(real_data):
    """Whose context another line is in, or has in common with it; but for lines
    as short as "Yeah.".
    """
    found = build(real_data).load(["text"])["test"]
    where = {text: i for i, text in enumerate(found.columns["text"].values)}
    floor, five, limbic = (found.groups[where[t]] for t in LINES)
    assert floor == five == limbic and 310 < len(set(found.groups.tolist())) < 334
    said = {"show": "BBT", "context": ["Yeah."]}
    one, two = scenes(
        [said | {"utterance": "Where are my keys?"}, said | {"utterance": "I never said so."}]
    )
    assert one != two


def test_another_question_for_the_test(real_data):
    parts = build(real_data, train="sarcasm", test="emotion").load(["text"])
    assert parts["test"].counts.sum() == 2610 and parts["train"].counts.tolist() == [193, 141]


def test_emotions_are_held_out(real_data):
    held = ["fear", "sadness"]
    parts = build(real_data, test="emotion", held_out=held).load(["text"])
    assert parts["train"].classes == [
        f"emotion/{e}" for e in ("anger", "disgust", "joy", "neutral", "surprise")
    ]
    assert parts["test"].classes == ["emotion/fear", "emotion/sadness"] and parts[
        "test"
    ].counts.tolist() == [50, 208]
    assert build(real_data, held_out=held).load(["text"])["train"].counts.sum() == 9989 - 268 - 683


def test_a_question_has_one_split(real_data):
    with pytest.raises(UserError, match="each question has one split; name three different ones"):
        build(real_data, train="sarcasm")
    with pytest.raises(UserError, match="or emotions of test in dataset.held_out"):
        build(real_data, test="emotion")
    with pytest.raises(UserError, match="dataset.held_out=.'boredom'. must be some of anger"):
        build(real_data, held_out=["boredom"])
    with pytest.raises(
        UserError, match="dataset.val=irony must be one of emotion, sentiment, sarcasm"
    ):
        build(real_data, val="irony")


def test_the_same_words_in_two_scenes_are_duplicates(real_data):
    val = build(real_data).load(["text"])["val"]
    texts = val.columns["text"].values[:]
    same = [i for i, text in enumerate(texts) if text == "Yeah."]
    assert len(same) > 1 and len(set(val.duplicates[same].tolist())) == 1
    assert len(set(val.duplicates.tolist())) == len(set(texts.tolist()))
