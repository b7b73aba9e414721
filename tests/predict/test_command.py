"""``mmml-predict``: what it writes, and what it says of mistakes."""

import csv
import os

import numpy as np
import pytest
from PIL import Image

from mmml.cli.mmml_predict import predict
from mmml.errors import UserError
from tests.data.making import draw, pictures, write_csv
from tests.predict.making import features

MATRIX = "predict.features=f.npy"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    features(tmp_path / "s", [0, 1, 2] * 5, seed=0)
    features(tmp_path / "q", [2, 1, 0, 1], seed=1, labelled=False)


def table(path="predictions.csv") -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:  # noqa: PTH123
        return list(csv.DictReader(file))


def test_a_line_for_each_query_in_order(capsys):
    assert predict(["support=s", "query=q", MATRIX]) == 0
    rows = table()
    assert [r["id"] for r in rows] == ["q0", "q1", "q2", "q3"]
    assert [r["prediction"] for r in rows] == ["c2", "c1", "c0", "c1"]
    assert list(rows[0]) == [
        "id",
        "prediction",
        "probability",
        "neighbor_1",
        "neighbor_2",
        "neighbor_3",
        "problem",
    ]
    assert all(
        0.34 < float(r["probability"]) <= 1 and r["neighbor_3"].startswith("s") for r in rows
    )
    message = capsys.readouterr().out
    assert (
        "features:features, metric/prototype" in message
        and "predictions: predictions.csv" in message
    )


def test_labels_of_queries_tell_how_many_are_right(tmp_path, capsys):
    features(tmp_path / "q", [2, 1, 0, 1], seed=1)
    assert predict(["support=s", "query=q", MATRIX]) == 0
    assert "right: 100.0% of the 4 queries with a known label" in capsys.readouterr().out


def test_an_earlier_file_is_kept_and_folders_are_made(tmp_path):
    for _ in range(2):
        assert predict(["support=s", "query=q", MATRIX, "predict.output=deep/er [1]/p=q.csv"]) == 0
    assert table("deep/er [1]/p=q.csv") == table("deep/er [1]/p=q.1.csv")


def test_what_is_rejected_and_what_cannot_be_read_is_said(tmp_path):
    features(tmp_path / "q", [0, 7], seed=1)
    matrix = np.load(tmp_path / "q" / "f.npy")
    matrix[0] = np.nan
    np.save(tmp_path / "q" / "f.npy", matrix)
    assert (
        predict(["support=s", "query=q", MATRIX, "predict.reject=0.99", "predict.neighbors=1"]) == 0
    )
    unread, unknown = table()
    assert "not finite" in unread["problem"] and unread["prediction"] == unread["probability"] == ""
    assert unknown["prediction"] == "none of these" and unknown["problem"] == ""


def test_samples_without_labels_are_ranked(tmp_path):
    for root in ("gallery", "wanted"):
        pictures(tmp_path / root, classes=3, each=1)
    write_csv(
        tmp_path / "gallery" / "metadata.csv",
        [{"image_file_name": f"c{c}/0.png"} for c in range(3)],
    )
    write_csv(
        tmp_path / "wanted" / "metadata.csv", [{"image_file_name": f"c{c}/0.png"} for c in (2, 0)]
    )
    assert predict(["support=gallery", "query=wanted"]) == 0
    assert [r["neighbor_1"] for r in table()] == ["c2/0.png", "c0/0.png"]
    assert all(len({r["neighbor_1"], r["neighbor_2"], r["neighbor_3"]}) == 3 for r in table())


def test_columns_by_other_names(tmp_path):
    rows = [
        {"photo": r["image_file_name"], "species": r["label"]}
        for r in pictures(tmp_path / "zoo", 2, 2)
    ]
    write_csv(tmp_path / "zoo" / "metadata.csv", rows)
    names = "predict.columns={image: photo, label: species}"
    assert predict(["support=zoo", "query=zoo", names]) == 0
    assert {r["prediction"] for r in table()} == {"class 0", "class 1"}


def test_fewer_support_samples_than_are_to_be_named(tmp_path):
    features(tmp_path / "s", [0, 1], seed=0, noise=0.01)
    assert predict(["support=s", "query=q", MATRIX]) == 0
    assert [(r["neighbor_1"], r["neighbor_2"], r["neighbor_3"]) for r in table()][1:3] == [
        ("s1", "s0", ""),
        ("s0", "s1", ""),
    ]


WRONG = {
    "no support": (["query=q"], "support= needs a folder or manifest of labelled examples"),
    "no query": (["support=s"], "query= needs a folder or manifest of what is to be labelled"),
    "stray word": (["s", "query=q"], "s cannot be read: write support=s"),
    "missing folder": (
        ["support=none", "query=q"],
        "support=none: there is no such file or folder",
    ),
    "missing query": (
        ["support=s", "query=none", MATRIX],
        "query=none: there is no such file or folder",
    ),
    "missing matrix": (
        ["support=s", "query=q", "predict.features=g.npy"],
        "predict.features=g.npy|g.npy: there is no such file",
    ),
    "unknown option": (["support=s", "query=q", "predict.nearst=1"], "did you mean"),
    "wrong type": (["support=s", "query=q", "predict.neighbors=many"], "predict.neighbors"),
    "out of range": (
        ["support=s", "query=q", MATRIX, "predict.reject=1.5"],
        "predict.reject=1.5 must be between 0 and 1",
    ),
    "no run": (["checkpoint=s", "support=s", "query=q", MATRIX], "checkpoint=s is no run"),
    "unknown rule": (
        ["support=s", "query=q", MATRIX, "method/classifier=rigde"],
        "did you mean 'ridge'",
    ),
    "unknown encoder": (
        ["support=s", "query=q", MATRIX, "encoder=rwa"],
        "encoder=rwa: there is no such choice",
    ),
    "untrained encoder": (
        ["support=s", "query=q", MATRIX, "encoder=small"],
        "has parameters that nobody has trained",
    ),
    "mapping": (
        ["support=s", "query=q", MATRIX, "predict.mapping=image:image"],
        "predict.mapping=image:image: the support",
    ),
    "no mapping": (
        ["support=s", "query=q", MATRIX, "predict.mapping=image"],
        "'image' is no mapping",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_one_sentence(name):
    arguments, message = WRONG[name]
    with pytest.raises(UserError, match=message) as error:
        predict(arguments)
    assert "\n" not in str(error.value)


def test_nothing_in_common(tmp_path):
    draw(tmp_path / "images" / "c" / "a.png", 0)
    (tmp_path / "a.json").write_text("[[[0, 0], [1, 1]]]")
    write_csv(tmp_path / "ink.csv", [{"strokes_file_name": "a.json"}])
    with pytest.raises(UserError, match="support and query share no modality"):
        predict(["support=images", "query=ink.csv"])


def test_a_support_set_of_one_class(tmp_path):
    features(tmp_path / "s", [0, 0, 0], seed=0)
    assert predict(["support=s", "query=q", MATRIX]) == 0
    assert {(r["prediction"], r["probability"]) for r in table()} == {("c0", "1.0000")}


def test_queries_need_no_labels_in_order(tmp_path):
    rows = pictures(tmp_path / "s2", classes=2, each=2)
    write_csv(tmp_path / "s2" / "metadata.csv", rows)
    odd = [r | {"label": "", "split": "holdout", "score": "?"} for r in rows[:2]] + [
        rows[3] | {"label": "class 1"}
    ]
    write_csv(tmp_path / "s2" / "q.csv", odd)
    assert predict(["support=s2", "query=s2/q.csv"]) == 0
    assert [r["problem"] for r in table()] == ["", "", ""] and table()[2]["prediction"] == "class 1"


def test_an_empty_cell_is_told_and_the_others_predicted(tmp_path):
    rows = pictures(tmp_path / "s2", classes=2, each=2)
    write_csv(tmp_path / "s2" / "metadata.csv", rows)
    write_csv(tmp_path / "s2" / "q.csv", [rows[0], rows[1] | {"image_file_name": ""}, rows[2]])
    assert predict(["support=s2", "query=s2/q.csv"]) == 0
    assert [r["problem"] for r in table()] == ["", "it has no image", ""]


def test_queries_of_another_width_are_told(tmp_path):
    np.save(tmp_path / "q" / "f.npy", np.ones((4, 3), np.float32))
    assert predict(["support=s", "query=q", MATRIX]) == 1  # none could be read
    assert all("width 3 where others have" in r["problem"] for r in table())


def test_a_name_is_not_matched_with_itself(tmp_path):
    """Texts that are the same for a class stay out of what is compared by default."""
    rows = [
        r | {"text": f"the name of {r['label']}"}
        for r in pictures(tmp_path / "s2", classes=2, each=2)
    ]
    write_csv(tmp_path / "s2" / "metadata.csv", rows)
    with pytest.raises(UserError, match="has no common space") as error:
        predict(["support=s2", "query=s2", "predict.mapping=image+text:image+text"])
    assert "image:image" in str(error.value)
    assert predict(["support=s2", "query=s2"]) == 0


def test_different_modalities_have_no_common_space_untrained(tmp_path):
    rows = [
        r | {"text": f"text {i}"}
        for i, r in enumerate(pictures(tmp_path / "s2", classes=2, each=2))
    ]
    write_csv(tmp_path / "s2" / "metadata.csv", rows)
    for mapping in ("text:image", "image+text:image"):
        with pytest.raises(UserError, match="has no common space"):
            predict(["support=s2", "query=s2", f"predict.mapping={mapping}"])
    with pytest.raises(UserError, match="this encoder does not read imgae; did you mean 'image'"):
        predict(["support=s2", "query=s2", "predict.mapping=imgae:image"])
    assert predict(["support=s2", "query=s2"]) == 0  # by the first that both have


def test_an_earlier_file_survives_an_interruption(monkeypatch):
    assert predict(["support=s", "query=q", MATRIX]) == 0
    before = table()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mmml.predict.model.Adapted._describe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        predict(["support=s", "query=q", MATRIX])
    assert table() == before


def test_a_folder_is_no_output():
    with pytest.raises(UserError, match="predict.output=s is a folder"):
        predict(["support=s", "query=q", MATRIX, "predict.output=s"])


def test_columns_that_only_the_support_set_has(tmp_path):
    rows = [
        {"photo": r["image_file_name"], "species": r["label"]}
        for r in pictures(tmp_path / "zoo", 2, 2)
    ]
    write_csv(tmp_path / "zoo" / "metadata.csv", rows)
    write_csv(tmp_path / "zoo" / "new.csv", [{"photo": r["photo"]} for r in rows])
    assert (
        predict(
            ["support=zoo", "query=zoo/new.csv", "predict.columns={image: photo, label: species}"]
        )
        == 0
    )
    with pytest.raises(
        UserError, match="predict.columns.image=foto: .* has no such column; did you mean 'photo'"
    ):
        predict(["support=zoo", "query=zoo/new.csv", "predict.columns={image: foto}"])


def test_a_bad_support_sample_can_be_left_out(tmp_path):
    pictures(tmp_path / "s2", classes=2, each=3)
    (tmp_path / "s2" / "c0" / "1.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match="it is damaged.*predict.on_bad_sample=skip"):
        predict(["support=s2", "query=s2"])
    assert predict(["support=s2", "query=s2", "predict.on_bad_sample=skip"]) == 0
    assert sum(r["problem"] != "" for r in table()) == 1 and len(table()) == 6


def test_what_may_not_be_meant_is_said(tmp_path, capsys):
    write_csv(tmp_path / "s" / "metadata.csv", [{"id": f"s{i}"} for i in range(15)])
    assert predict(["support=s", "query=q", MATRIX]) == 0
    assert (
        "the support set has no labels" in (err := capsys.readouterr().err)
        and "not calibrated" in err
    )
    features(tmp_path / "s", [0, 1, 2] * 5, seed=0)
    write_csv(
        tmp_path / "q" / "metadata.csv", [{"id": f"q{i}", "label": f"other {i}"} for i in range(4)]
    )
    assert predict(["support=s", "query=q", MATRIX]) == 0
    assert "no label of the queries, such as 'other 0', is a class" in capsys.readouterr().err


def test_right_rejections_are_counted_apart(tmp_path, capsys):
    features(tmp_path / "q", [0, 1, 5, 6], seed=1, noise=0.1)
    features(tmp_path / "s", [0, 1, 2] * 6, seed=0, noise=0.1)
    assert predict(["support=s", "query=q", MATRIX, "predict.reject=0.9"]) == 0
    message = capsys.readouterr().out
    assert (
        "of the 2 queries with a known label" in message
        and "rejected: " in message
        and "is expected to reject" in message
    )


def test_scores_of_queries_tell_the_error(tmp_path, capsys):
    for root, labels in (("s", [0, 1, 2] * 5), ("q", [2, 1, 0, 1])):
        features(tmp_path / root, labels, seed=0, noise=0.01)
        write_csv(
            tmp_path / root / "metadata.csv",
            [{"id": i, "label": "size", "score": c} for i, c in enumerate(labels)],
        )
    more = ["task=regression", "method/classifier=attention", "method.loss.temperature=0.01"]
    assert predict(["support=s", "query=q", MATRIX, *more]) == 0
    message = capsys.readouterr().out
    assert "mean absolute error: 0.0" in message and "probability" not in message
    assert [round(float(r["prediction"])) for r in table()] == [2, 1, 0, 1]


def test_several_quantities_in_one_support_set_are_told(tmp_path, capsys):
    features(tmp_path / "s", [0, 1, 2] * 5, seed=0)
    write_csv(
        tmp_path / "s" / "metadata.csv",
        [{"id": i, "label": "ab"[i % 2], "score": i} for i in range(15)],
    )
    assert (
        predict(["support=s", "query=q", MATRIX, "task=regression", "method/classifier=attention"])
        == 0
    )
    assert (
        "the support set has 2 labels, such as 'a', and every answer comes from all"
        in capsys.readouterr().err
    )


def test_a_run_keeps_its_encoder(finished):
    with pytest.raises(UserError, match="encoder belongs to the finished run and cannot change"):
        predict([f"checkpoint={finished}", "support=s", "query=q", "encoder.normalize=false"])


def test_texts_with_the_same_beginning_are_different(tmp_path):
    write_csv(
        tmp_path / "t.csv",
        [{"text": "the same long beginning of all of them " * 2 + word} for word in "abcd"],
    )
    assert predict(["support=t.csv", "query=t.csv"]) == 0
    rows = table()
    assert len({r["prediction"] for r in rows}) == 4 and len({r["id"] for r in rows}) == 4


def test_a_support_sample_without_a_score_is_named_or_left_out(tmp_path):
    rows = [{"id": i, "label": "size", "score": c} for i, c in enumerate([0, 1, 2] * 5)]
    rows[4]["score"] = ""
    write_csv(tmp_path / "s" / "metadata.csv", rows)
    write_csv(
        tmp_path / "q" / "metadata.csv",
        [{"id": i, "score": s} for i, s in enumerate(("2", "n/a", "", "nan"))],
    )
    arguments = ["support=s", "query=q", MATRIX, "task=regression", "method/classifier=attention"]
    with pytest.raises(UserError, match="row 5 of .* it has no score"):
        predict(arguments)
    assert predict([*arguments, "predict.on_bad_sample=skip"]) == 0
    assert all(0 <= float(r["prediction"]) <= 2 for r in table())


def test_another_encoder_of_one_modality(tmp_path, monkeypatch):
    pictures(tmp_path / "zoo", classes=2, each=2)
    with pytest.raises(UserError, match="has parameters that nobody has trained"):
        predict(["support=zoo", "query=zoo", "encoder/image=conv4", "encoder.width=8"])
    with pytest.raises(
        UserError, match="encoder/audio: the chosen encoder leaves no choice of that"
    ):
        predict(["support=zoo", "query=zoo", "encoder=mlp", "encoder/audio=logmel_conv"])


def test_how_media_are_decoded_can_be_said(tmp_path, capsys):
    for side in ("s3", "q3"):
        for c in range(3):
            (tmp_path / side / f"c{c}").mkdir(parents=True)
            for i in range(2):
                values = np.zeros((8, 8), np.uint16)
                values[c, i] = 200
                Image.fromarray(values).save(tmp_path / side / f"c{c}" / f"{i}.png")
    assert predict(["support=s3", "query=q3"]) == 0
    message = capsys.readouterr()
    assert "support: 6 image files are constant after decoding" in message.err
    assert "predict.decoding={image_range: each} for 16-bit pictures" in message.err
    assert "6 image files are constant after decoding (c0/0.png" in message.out
    assert predict(["support=s3", "query=q3", "predict.decoding={image_range: each}"]) == 0
    message = capsys.readouterr()
    assert "constant" not in message.err + message.out and "right: 100.0% of the 6" in message.out
    with pytest.raises(
        UserError, match="predict.decoding.image_rang is no option; did you mean 'image_range'"
    ):
        predict(["support=s3", "query=q3", "predict.decoding={image_rang: each}"])


def test_of_predictions_that_do_not_fit_on_the_disk_nothing_stays(tmp_path, monkeypatch):
    def fsync(file):
        raise OSError(28, "No space left on device")

    assert predict(["support=s", "query=q", MATRIX]) == 0
    before = {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match=r"predictions\.csv"):
        predict(["support=s", "query=q", MATRIX])
    assert {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before
    with pytest.raises(OSError, match="/dev/full"):
        predict(["support=s", "query=q", MATRIX, "predict.output=/dev/full"])


def test_queries_that_stand_in_the_support_set_are_counted(tmp_path, capsys):
    for c in range(2):
        for i in range(2):
            draw(tmp_path / "s4" / f"c{c}" / f"{i}.png", 10 * c + i)
    draw(tmp_path / "new.png", 3)
    (tmp_path / "q4.csv").write_text(
        "id,image_file_name\n1,s4/c0/1.png\n2,./new.png\n3,\n4,s4/c1/./0.png\n"
    )
    for query, message in (
        ("q4.csv", "2 of the 4 queries are in"),
        ("s4", "4 of the 4"),
        ("s4/c0", "2 of the 2"),
    ):
        assert predict(["support=s4", f"query={query}"]) == 0
        assert message in capsys.readouterr().err
    (tmp_path / "t.csv").write_text("label,text\na,one\nb,two\n")
    assert predict(["support=t.csv", "query=t.csv"]) == 0
    assert "2 of the 2 queries are in the support set" in capsys.readouterr().err
    (tmp_path / "u.csv").write_text("label,text\na,one\n")
    assert predict(["support=t.csv", "query=u.csv"]) == 0
    assert "stand in" not in capsys.readouterr().err


def test_a_support_folder_one_level_too_high_or_too_low_is_named(tmp_path, capsys):
    for c in range(2):
        for i in range(2):
            draw(tmp_path / "top" / "set" / f"c{c}" / f"{i}.png", 10 * c + i)
    draw(tmp_path / "new" / "x.png", 3)
    place = tmp_path / "top" / "set"
    for support in ("top", "top/set/c0"):
        assert predict([f"support={support}", "query=new"]) == 0
        assert f"did you mean support={place}?" in capsys.readouterr().err
    # Queries beside the support set.
    for support, query in (("top/set", "new"), ("top/set/c0", "top/set/c1")):
        assert predict([f"support={support}", f"query={query}"]) == 0
        assert "did you mean" not in capsys.readouterr().err


def test_an_empty_checkpoint_is_a_mistake_and_not_none():
    with pytest.raises(UserError, match="checkpoint= needs a run directory or a checkpoint file$"):
        predict(["support=s", "query=q", MATRIX, "checkpoint="])
