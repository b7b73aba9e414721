"""What a check says of small tables of texts: what counts, what stops, and which
episodes it suggests.
"""

import numpy as np
import pytest

from mmml.check.command import check
from mmml.check.episodes import possible_mappings, shape_hint, suggest, too_few
from mmml.check.files import duplicates, sizes
from mmml.check.issues import Inspection, count, inspect, labels_alike
from mmml.check.show import alike, gaps
from mmml.data.base import Granularity, Samples
from mmml.data.column import Column, mask_of
from mmml.tasks import tasks
from tests.data.making import draw, pictures, write_csv
from tests.data.test_manifest import manifest

SPLITS = {"train": 6, "val": 3, "test": 4}


def samples_of(*counts, **others):
    return Samples([f"c{i}" for i in range(len(counts))], np.cumsum([0, *counts]), {}, **others)


def inspected(root, skips=False, **options):
    return inspect(lambda: manifest(root, on_bad_sample="skip", **options), skips)


def split_rows(each=4, splits=SPLITS):
    """Texts of classes in these splits, so many of each."""
    names = [(split, f"{split} {c}") for split, number in splits.items() for c in range(number)]
    return [{"label": n, "split": s, "text": f"{n}: {i}"} for s, n in names for i in range(each)]


def suggested(root, rows, task="classification"):
    write_csv(root / "metadata.csv", rows)
    meant = tasks.build(task, {}, "task")
    return dict(o.split("=") for o in suggest(manifest(root), inspected(root), meant))


def test_a_task_with_answers_of_another_form_is_suggested_too(tmp_path):
    """Such as a task of another package."""

    class Graphs(type(tasks.build("regression", {}, "task"))):
        name, form = "graphs", "graph"

    write_csv(tmp_path / "metadata.csv", [r | {"score": 1.0} for r in split_rows()])
    found = suggest(manifest(tmp_path), inspected(tmp_path), Graphs())
    assert found[:2] == ["task=graphs", "episode=pairs"]


def test_the_smallest_and_the_largest_class_are_named():
    counted = count("val", samples_of(3, 1, 5, 2))
    assert counted == {
        "split": "val",
        "classes": 4,
        "samples": 11,
        "smallest": "1 (c1)",
        "largest": "5 (c2)",
    }
    assert count("val", samples_of())["classes"] == 0


def test_episodes_are_as_wide_as_the_smaller_of_validation_and_test(tmp_path):
    found = suggested(tmp_path, split_rows(each=10))
    assert (found["episode.eval.ways"], found["episode.train.ways"]) == ("3", "6")
    found = suggested(tmp_path, split_rows(each=10, splits={"train": 40, "val": 8, "test": 2}))
    assert (found["episode.eval.ways"], found["episode.train.ways"]) == ("2", "32")


def test_the_smallest_class_of_all_splits_says_how_many_shots_and_queries(tmp_path):
    rows = split_rows(each=12)
    keys = ("episode.eval.shots", "episode.eval.queries", "episode.train.queries")
    many, few, two = (suggested(tmp_path, [*rows[:n], *rows[12:]]) for n in (10, 4, 2))
    assert [many[k] for k in keys] == ["[1,5]", "5", "5"]
    assert [few[k] for k in keys] == ["[1]", "3", "3"] and [two[k] for k in keys] == [
        "[1]",
        "1",
        "1",
    ]


def test_scores_leave_as_many_rows_for_queries_as_for_support(tmp_path):
    rows = [r | {"score": i} for i, r in enumerate(split_rows(each=12))]
    found = suggested(tmp_path, rows, "regression")
    assert (found["episode.eval.shots"], found["episode.eval.queries"]) == ("[5,6]", "6")


def test_what_fits_a_split_is_told():
    hint = shape_hint(samples_of(5, 3, 9), "val")
    assert (
        "the val split can play up to 3 ways, and 2 shots with 1 query" in hint
        and "episode.eval.ways" in hint
    )
    assert "episode.train.ways" in shape_hint(
        samples_of(2), "train"
    ) and "0 ways, and 0 shots" in shape_hint(samples_of(), "test")


def test_labels_that_differ_in_capitals_are_told(tmp_path):
    labels = ["Positive", "positive", "negative"]
    path = write_csv(
        tmp_path / "t.csv",
        [{"text": f"{label} {i}", "label": label} for label in labels for i in range(3)],
    )
    (found,) = labels_alike(manifest(path))
    assert (
        found.what == "1 pair of labels differ in capitals alone, and are different classes"
        and not found.stops
    )
    assert found.examples == ("'Positive' and 'positive'",)


@pytest.mark.parametrize(
    ("classes", "hint"),
    [(8, "set dataset.val=0.25 dataset.test=0.25, or"), (5, "6 classes or more")],
)
def test_too_few_classes_in_a_split_have_a_hint_that_works(classes, hint):
    names = np.split(np.array([f"c{i}" for i in range(classes)]), [classes - 2, classes - 1])
    parts = {
        s: Samples(own.tolist(), np.arange(len(own) + 1), {})
        for s, own in zip(SPLITS, names, strict=True)
    }
    inspection = Inspection("x", samples=parts)
    (few,) = too_few(inspection, 2)
    assert few.hint.startswith(hint)


def test_a_split_of_just_as_many_classes_as_are_needed_is_enough():
    inspection = Inspection(
        "x", samples={"train": samples_of(2, 2, 2), "val": samples_of(2, 2), "test": samples_of(2)}
    )
    (few,) = too_few(inspection, 2)
    assert few.what == "an episode needs 2 classes or more, and test has 1" and few.stops
    assert [*too_few(inspection, 1)] == []


def test_a_class_is_not_matched_with_what_is_the_same_for_it(tmp_path):
    write_csv(tmp_path / "metadata.csv", pictures(tmp_path))
    dataset = manifest(tmp_path)
    assert dataset.modalities == {"image": Granularity.SAMPLE, "text": Granularity.CLASS}
    assert set(possible_mappings(dataset)) == {"image:image", "text:image", "image:text"}
    assert possible_mappings(dataset, "text") == ["image:image"]


def test_bad_rows_that_are_left_out_do_not_stop(tmp_path):
    rows = split_rows()
    rows[3]["label"] = rows[5]["label"] = rows[9]["split"] = ""
    rows[0]["split"] = "holdout"
    write_csv(tmp_path / "metadata.csv", rows)
    stops = {f.what: f.stops for f in inspected(tmp_path).found}
    assert stops["2 rows cannot be used: it has no label"] and any(
        "its split is none" in what for what in stops
    )
    assert not inspected(tmp_path, skips=True).stops and inspected(tmp_path).stops


def test_groups_within_one_split_do_not_straddle(tmp_path):
    rows = split_rows()
    write_csv(
        tmp_path / "metadata.csv",
        [r | {"group": f"{r['split']} {i % 5}"} for i, r in enumerate(rows)],
    )
    assert inspected(tmp_path).found == []
    write_csv(tmp_path / "metadata.csv", [r | {"group": f"{i // 24}"} for i, r in enumerate(rows)])
    (found,) = inspected(tmp_path).found
    assert found.what.startswith("1 group (near duplicates") and not found.stops


def test_a_text_that_half_of_the_classes_share_is_no_name(tmp_path):
    rows = split_rows(splits={"train": 2, "val": 2, "test": 2})
    for number, warnings in ((3, []), (4, ["text is the same throughout 4 of 6 classes"])):
        named = [r | ({"text": r["label"]} if i < 4 * number else {}) for i, r in enumerate(rows)]
        write_csv(tmp_path / "metadata.csv", named)
        assert [f.what for f in inspected(tmp_path).found] == warnings


def test_copies_within_a_class_are_not_across_classes(tmp_path):
    rows = pictures(tmp_path, classes=3, each=3)
    for name in ("c0/1.png", "c2/0.png"):
        (tmp_path / name).write_bytes((tmp_path / "c0/0.png").read_bytes())
    (tmp_path / "c1/2.png").write_bytes((tmp_path / "c1/0.png").read_bytes())
    write_csv(tmp_path / "metadata.csv", rows)
    (found,) = duplicates(manifest(tmp_path))
    assert found.what == "2 groups of image files have the same content, 1 of them across classes"
    assert found.examples == ("c0/0.png = c0/1.png = c2/0.png",)


def test_sizes_are_the_least_the_median_and_the_most(tmp_path):
    rows = pictures(tmp_path, classes=3, each=1)
    for name, size in (("c0/0.png", 8), ("c1/0.png", 10), ("c2/0.png", 40)):
        draw(tmp_path / name, 0, size)
    write_csv(tmp_path / "metadata.csv", rows)
    wide = "8 – 40 wide (median 10), 8 – 40 high (median 10)"
    assert sizes(manifest(tmp_path), "image") == {"values": 3, "sizes": wide}


def test_identical_samples_are_counted_and_not_those_that_are_alone():
    train = samples_of(3, 2, 1, duplicates=np.array([0, 0, 1, 0, 2, 3]))
    assert alike({"train": train, "val": samples_of(2)}).endswith("train 3 samples of 2 classes")
    assert alike({"val": samples_of(2)}) == ""


def test_what_is_missing_is_told_as_a_share_of_all_samples():
    parts = {
        "train": Column(np.zeros((4, 1)), mask_of(np.array([True, False, True, True]))),
        "val": Column(np.zeros((4, 1))),
    }
    splits = {
        split: Samples(["c"], np.array([0, 4]), {"image": column})
        for split, column in parts.items()
    }
    assert gaps(splits, "image") == ", missing in 12 %" and gaps(splits, "audio") == ""


@pytest.mark.parametrize("text", [True, False])
def test_pairs_without_labels_can_be_trained_on(tmp_path, text, capsys):
    rows = []
    for i in range(40):
        draw(tmp_path / f"{i}.png", i)
        np.save(tmp_path / f"{i}.npy", np.full(3, float(i)))
        row = {"image_file_name": f"{i}.png", "features_file_name": f"{i}.npy"}
        rows.append(row | ({"text": f"number {i}"} if text else {}))
    write_csv(tmp_path / "metadata.csv", rows)
    assert check(str(tmp_path), str(tmp_path / "page.html"), []) == 0
    message = capsys.readouterr().out
    assert "each row is a class of its own" in message and "Training can start." in message
    mappings = "text:image,text:features" if text else "image:features,features:image"
    assert f"'episode.eval.mappings=[{mappings}]'" in message
    assert "'episode.eval.shots=[1]' episode.eval.queries=1 " in message  # a class is one pair


@pytest.mark.parametrize("twin", ["c\u0430t flap", "cat  flap", "ca\u200dt flap", "\uff43at flap"])
def test_labels_that_can_hardly_be_told_apart_are_told(tmp_path, twin):
    rows = [
        {"text": f"{label} {i}", "label": label}
        for label in ("cat flap", twin, "dog")
        for i in range(3)
    ]
    (found,) = labels_alike(manifest(write_csv(tmp_path / "t.csv", rows)))
    assert (
        found.what
        == "1 pair of labels differ in what can hardly be seen, and are different classes"
    )
    assert found.examples == (f"'cat flap' and {twin!a}",) and not found.stops
