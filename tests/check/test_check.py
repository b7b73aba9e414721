import numpy as np
import pytest

from mmml.cli.mmml_data import data
from mmml.errors import UserError
from tests.data.making import draw, pictures, write_csv


def check(root, capsys, *overrides) -> tuple[int, str]:
    code = data(["check", str(root), f"data.page={root.parent / 'page.html'}", *overrides])
    return code, " ".join(capsys.readouterr().out.split())


@pytest.fixture
def rows(tmp_path):
    return pictures(tmp_path / "set", classes=10, each=4)


def test_a_good_manifest_passes_and_says_how_to_train(tmp_path, rows, capsys):
    write_csv(tmp_path / "set" / "metadata.csv", rows)
    code, message = check(tmp_path / "set", capsys)
    assert code == 0 and "Training can start." in message
    assert "train 6 24 4 (class 1) 4 (class 1)" in message
    assert "image sample 40 12 wide, 12 high" in message
    assert (
        "Next: mmml-train dataset=manifest dataset.root=" in message
        and "episode=five_way" in message
    )
    assert "episode.eval.ways=2" in message


def test_the_page_shows_one_sample_of_each_class(tmp_path, rows, capsys):
    write_csv(tmp_path / "set" / "metadata.csv", rows)
    check(tmp_path / "set", capsys)
    page = (tmp_path / "page.html").read_text()
    assert page.count("data:image/png;base64,") == 10 and all(
        f"class {c}" in page for c in range(10)
    )
    assert "http://" not in page and "https://" not in page


def test_what_the_suggested_command_says_can_be_trained(tmp_path, rows, capsys):
    """The suggestion is checked by the very checks that training makes."""
    from mmml import run as runs
    from mmml.config import check_config
    from mmml.config.compose import compose_plain

    write_csv(tmp_path / "set" / "metadata.csv", rows)
    _, message = check(tmp_path / "set", capsys)
    overrides = [
        o.strip("'")
        for o in message.partition("Next: mmml-train ")[2].partition(" page:")[0].split()
    ]
    assert runs.assemble(check_config(compose_plain(overrides)))


BAD = {
    "missing file": (
        lambda rows, root: rows[0].update(image_file_name="none.png"),
        "it cannot be opened",
    ),
    "damaged file": (
        lambda rows, root: (root / "c1" / "0.png").write_bytes(b"\x89PNG cut"),
        "it is damaged",
    ),
    "no label": (lambda rows, root: rows[0].update(label=""), "it has no label"),
    "outside": (
        lambda rows, root: rows[0].update(image_file_name="../x.png"),
        "lies outside of the folder",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_rows_stop_training_and_are_told_with_the_mend(tmp_path, rows, capsys, name):
    change, why = BAD[name]
    change(rows, tmp_path / "set")
    write_csv(tmp_path / "set" / "metadata.csv", rows)
    code, message = check(tmp_path / "set", capsys)
    assert code == 1 and why in message and "Training would fail" in message and "row" in message
    assert "dataset.on_bad_sample=skip" in message and "Next:" not in message
    code, message = check(tmp_path / "set", capsys, "dataset.on_bad_sample=skip")
    assert why in message and "they are left out" in message


def test_skipping_makes_a_class_too_small_and_that_is_told(tmp_path, rows, capsys):
    for i in range(3):
        rows[i]["image_file_name"] = "none.png"
    write_csv(tmp_path / "set" / "metadata.csv", rows)
    code, message = check(
        tmp_path / "set", capsys, "dataset.on_bad_sample=skip", "episode.eval.ways=2"
    )
    assert (
        code == 1
        and "samples of a class, but class 'class 0'" in message
        and "can play up to" in message
    )


def test_more_ways_than_classes(tmp_path, rows, capsys):
    write_csv(tmp_path / "set" / "metadata.csv", rows)
    code, message = check(tmp_path / "set", capsys, "episode.eval.ways=5")
    assert (
        code == 1
        and "episode.eval.ways=5 is more than the 2 classes" in message
        and "up to 2 ways" in message
    )


def test_copies_across_classes_are_found_by_content(tmp_path, rows, capsys):
    (tmp_path / "set" / "c1" / "0.png").write_bytes(
        (tmp_path / "set" / "c0" / "0.png").read_bytes()
    )
    write_csv(tmp_path / "set" / "metadata.csv", rows)
    code, message = check(tmp_path / "set", capsys)
    assert (
        code == 0
        and "1 group of image files have the same content, 1 of them across classes" in message
    )
    assert "c0/0.png = c1/0.png" in message


def test_fixed_classes_are_split_by_sample(tmp_path, capsys):
    rows = [
        {"text": f"{label} {i}", "label": label, "split": ["train", "validation", "test"][i % 3]}
        for label in ("negative", "neutral", "positive")
        for i in range(18)
    ]
    code, message = check(write_csv(tmp_path / "reviews.csv", rows), capsys)
    assert code == 0 and "3 classes of 3 are in several splits of the table" in message
    assert "dataset.split_by=sample" in command_of(message) and "episode.eval.ways=3" in command_of(
        message
    )
    code, message = check(
        write_csv(tmp_path / "gap.csv", [*rows, rows[0] | {"text": "x", "split": ""}]), capsys
    )
    assert (
        code == 1
        and "1 row cannot be used: its split is none of train, val and test" in message
        and "3 classes of 3 are in several" in message
    )
    for row in rows:
        row.pop("split")
    code, message = check(write_csv(tmp_path / "reviews.csv", rows), capsys)
    assert code == 0 and "there are too few classes to hold some of them out: 3" in message
    assert "dataset.split_by=sample" in command_of(message)
    code, message = check(tmp_path / "reviews.csv", capsys, "dataset.split_by=class")
    assert code == 1 and "dataset.split_by=sample; mmml-predict takes them as they are" in message


def test_scores_without_labels_are_one_task(tmp_path, capsys):
    rows = [{"text": f"text {i}", "score": i} for i in range(60)]
    code, message = check(write_csv(tmp_path / "scores.csv", rows), capsys)
    assert code == 0 and "there are scores and no labels: all rows are one task" in message
    assert "dataset.split_by=sample task=regression" in command_of(message)


def command_of(message):
    return message.partition("Next: ")[2].partition("page: ")[0]


def test_classes_and_groups_that_straddle_splits(tmp_path, rows, capsys):
    for i, row in enumerate(rows):
        row |= {"split": ["train", "val", "test"][i // 14], "group": f"g{i % 3}"}
    write_csv(tmp_path / "set" / "metadata.csv", rows)
    code, message = check(tmp_path / "set", capsys)
    assert code == 1 and "class 'class 3' is in split train and in split val" in message
    for row in rows:
        row["split"] = (
            "train" if row["label"] < "class 6" else "val" if row["label"] < "class 8" else "test"
        )
    write_csv(tmp_path / "set" / "metadata.csv", rows)
    code, message = check(tmp_path / "set", capsys)
    assert (
        code == 0
        and "3 groups (near duplicates, one speaker's takes) have samples in more than one split"
        in message
    )


def test_a_misspelt_column_is_told(tmp_path, rows, capsys):
    write_csv(
        tmp_path / "set" / "metadata.csv",
        [{**row, "grup": "a", "rating": "b", "date": "c"} for row in rows],
    )
    code, message = check(tmp_path / "set", capsys)
    assert code == 0 and "column 'grup' is ignored; did you mean 'group'?" in message
    assert "column 'rating' is ignored" in message and "column 'date' is ignored" in message
    assert message.count("did you mean") == 1  # and not 'domain' or 'text'


def test_texts_to_be_written_are_looked_at_too(tmp_path, rows, capsys):
    pairs = [
        "task=generation",
        "episode=pairs",
        "method/classifier=attention",
        "episode.train.shots=1",
        "episode.eval.shots=1",
    ]
    pairs += ["episode.train.queries=2", "episode.eval.queries=2"]
    pairs += ["episode.train.mappings=[image:image]", "episode.eval.mappings=[image:image]"]
    write_csv(
        tmp_path / "set" / "metadata.csv", [r | {"text": f"number {i}"} for i, r in enumerate(rows)]
    )
    code, message = check(tmp_path / "set", capsys, *pairs)
    assert code == 0 and "Training can start." in message, message
    write_csv(tmp_path / "set" / "metadata.csv", rows)
    code, message = check(tmp_path / "set", capsys, *pairs)
    assert code == 1 and "task.target=text belongs to whole classes here" in message, message


def test_scores_suggest_regression(tmp_path, capsys):
    root = tmp_path / "set"
    root.mkdir()
    rows = [
        {"label": f"q{q}", "score": i, "text": f"text {q} {i}"} for q in range(8) for i in range(60)
    ]
    write_csv(root / "metadata.csv", rows)
    code, message = check(root, capsys)
    assert code == 0 and "task=regression episode=regression" in message


def test_translations_suggest_generation(tmp_path, capsys):
    root = tmp_path / "set"
    root.mkdir()
    rows = [
        {"label": f"to {t}", "split": s, "source_text": f"word {i}", "text": f"{t}: {i}"}
        for s, t in (("train", "de"), ("train", "fr"), ("val", "it"), ("test", "cs"))
        for i in range(60)
    ]
    write_csv(root / "metadata.csv", rows)
    code, message = check(root, capsys)
    assert (
        code == 0
        and "task=generation episode=pairs" in message
        and "[source_text:source_text]" in message
    ), message
    code, message = check(
        root, capsys, "task=generation", "episode=pairs", "episode.eval.mappings=[text:text]"
    )
    assert code == 1 and "possible mappings: source_text:source_text" in message, message


def test_texts_and_matrices_are_measured(tmp_path, capsys):
    root = tmp_path / "set"
    root.mkdir()
    np.save(root / "m.npy", np.arange(120, dtype=np.float32).reshape(40, 3))
    write_csv(
        root / "metadata.csv",
        [{"label": f"c{i // 4}", "text": "ab" * (1 + i % 3)} for i in range(40)],
    )
    code, message = check(root, capsys, "dataset.features=m.npy")
    assert (
        code == 0
        and "features sample 40 3" in message
        and "2 – 6 character(s) (median 4)" in message
    )


def test_what_is_no_manifest_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="there is no such file or folder"):
        data(["check", str(tmp_path / "none"), f"data.page={tmp_path / 'page.html'}"])
    with pytest.raises(UserError, match="has no metadata.csv"):
        data(["check", str(tmp_path), f"data.page={tmp_path / 'page.html'}"])
    with pytest.raises(UserError, match="chek is no command; did you mean 'check'"):
        data(["chek", str(tmp_path)])
    draw(tmp_path / "c0" / "a.png", 0)
    with pytest.raises(UserError, match="give one folder"):
        data(["check"])


def test_a_missing_cell_stops_only_the_mappings_that_need_it(tmp_path, rows, capsys):
    for i, row in enumerate(rows):
        row["text"] = "" if i == 0 else f"text {i}"
    write_csv(tmp_path / "set" / "metadata.csv", rows)
    code, message = check(tmp_path / "set", capsys)
    assert code == 0 and "1 row of 40 have no text" in message and "[image:image]" in message
    code, message = check(tmp_path / "set", capsys, "episode.eval.mappings=[text:text]")
    assert (
        code == 1 and "1 row cannot be used by the mappings of this run: it has no text" in message
    )
    more = ["dataset.on_bad_sample=skip", "episode.eval.queries=2", "episode.train.queries=2"]
    assert check(tmp_path / "set", capsys, "episode.eval.mappings=[text:text]", *more)[0] == 0


def test_files_outside_of_the_folder_are_left_alone(tmp_path, rows, capsys):
    outside = draw(tmp_path / "outside.png", 100)
    outside.write_bytes((tmp_path / "set" / "c0" / "0.png").read_bytes())
    rows[5]["image_file_name"] = str(outside)
    write_csv(tmp_path / "set" / "metadata.csv", rows)
    code, message = check(tmp_path / "set", capsys)
    assert code == 1 and "lies outside of the folder" in message and "same content" not in message


def test_only_what_is_not_given_is_suggested(tmp_path, rows, capsys):
    write_csv(tmp_path / "set" / "metadata.csv", rows)
    code, message = check(tmp_path / "set", capsys, "episode.eval.mappings=[text:image]")
    assert (
        code == 0
        and "episode.eval.ways=2" in message
        and message.count("episode.eval.mappings") == 1
    )


def test_a_support_set_and_queries_are_told_from_training_data(tmp_path, capsys):
    pictures(tmp_path / "five", classes=3, each=5)
    code, message = check(tmp_path / "five", capsys)
    assert (
        code == 1
        and "an episode needs 2 classes or more, and" in message
        and "mmml-predict takes them" in message
    )
    for i in range(20):
        draw(tmp_path / "new" / f"{i}.png", i)
    code, message = check(tmp_path / "new", capsys)
    assert (
        code == 1
        and "there are no labels" in message
        and "mmml-predict takes them as queries" in message
    )


def test_a_name_with_a_slip_is_told(tmp_path, rows, capsys):
    for i, row in enumerate(rows):
        row["text"] = f"name of {row['label']}" + ("!" if i == 0 else "")
    write_csv(tmp_path / "set" / "metadata.csv", rows)
    code, message = check(tmp_path / "set", capsys)
    assert code == 0 and "text is the same throughout 9 of 10 classes" in message


def test_rows_of_either_of_two_modalities_can_be_trained_on(tmp_path, rows, capsys):
    for i, row in enumerate(rows):
        row["text"] = f"text {i}" if i % 2 else ""
        row["image_file_name"] = "" if i % 2 else row["image_file_name"]
    write_csv(tmp_path / "set" / "metadata.csv", rows)
    more = [
        "dataset.on_bad_sample=skip",
        "episode.eval.mappings=[image:image]",
        "episode.eval.queries=1",
    ]
    code, message = check(
        tmp_path / "set", capsys, *more, "episode.eval.shots=[1]", "episode.train.queries=1"
    )
    assert code == 0 and "20 rows of 40 have no image" in message


def test_a_picture_for_each_class_is_no_gap(tmp_path, rows, capsys):
    for i, row in enumerate(rows):
        row["text"] = f"text {i}"
        row["image_file_name"] = row["image_file_name"] if i % 4 == 0 else ""
    write_csv(tmp_path / "set" / "metadata.csv", rows)
    code, message = check(tmp_path / "set", capsys)
    assert code == 0 and "have no image" not in message and "[text:text,text:image]" in message


def test_scores_do_not_stand_in_the_way_of_classes(tmp_path, rows, capsys):
    write_csv(tmp_path / "set" / "metadata.csv", [row | {"score": "1"} for row in rows])
    code, message = check(tmp_path / "set", capsys, "task=classification")
    assert code == 0 and "episode=five_way" in message and "regression" not in message


def test_translations_without_labels_would_fail(tmp_path, capsys):
    root = tmp_path / "set"
    root.mkdir()
    write_csv(
        root / "metadata.csv",
        [{"source_text": f"word {i}", "text": f"Wort {i}"} for i in range(60)],
    )
    code, message = check(root, capsys)
    assert code == 1 and "rows with one label are one task, such as a language" in message


def test_what_is_asked_for_is_checked_without_labels_too(tmp_path, rows, capsys):
    pairs = [
        {"image_file_name": row["image_file_name"], "text": f"text {i}"}
        for i, row in enumerate(rows)
    ]
    write_csv(tmp_path / "set" / "metadata.csv", pairs)
    code, message = check(tmp_path / "set", capsys, "episode.eval.mappings=[audio:audio]")
    assert code == 1 and "needs 'audio', which dataset manifest does not have" in message


@pytest.mark.parametrize(("given", "meant"), [("", "set"), ("set/class 1", "set")])
def test_another_folder_that_was_meant_is_named_and_everything_else_is_told_too(
    tmp_path, capsys, given, meant
):
    for c in range(10):
        for i in range(3):
            draw(tmp_path / "data" / "set" / f"class {c}" / f"{i}.png", 10 * c + i)
    place = tmp_path / "data" / meant
    code, message = check(tmp_path / "data" / given, capsys)
    assert code == 1 and "12 wide, 12 high" in message
    # Lines may break.
    assert f"didyoumeandataset.root={place}(mmml-datacheck{place})?" in message.replace(" ", "")
    assert check(place, capsys)[0] == 0


def test_a_folder_may_be_called_like_an_option_and_that_of_nobody_is_not_there(
    tmp_path, rows, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "set" / "metadata.csv", rows)
    (tmp_path / "set").rename("a=b")
    assert data(["check", "a=b"]) == 0
    with pytest.raises(UserError, match=r"root=.*/~nobody-here/x: there is no such file or folder"):
        data(["check", "~nobody-here/x"])


def test_classes_of_one_text_each_are_named_and_no_mapping_of_pictures(tmp_path, capsys):
    path = write_csv(tmp_path / "t.csv", [{"text": f"t {i}", "label": f"c{i}"} for i in range(30)])
    code, message = check(path, capsys)
    assert code == 1 and "✗ no class has more than one text" in message and "image" not in message
