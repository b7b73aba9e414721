"""``dataset.split_by=sample``: the same classes in all splits, and no row, copy or
group in two of them.
"""

from collections import Counter

import numpy as np
import pytest

from mmml.data.base import datasets
from mmml.errors import UserError
from tests.conftest import scores_of
from tests.data.making import OPTIONS, draw, write_csv

CLASSES = ("negative", "neutral", "positive")


def manifest(root, **options):
    return datasets.build(
        "manifest", {**OPTIONS, "split_by": "sample", "root": str(root), **options}, "dataset"
    )


def reviews(each: int = 10, **columns) -> list[dict]:
    """Rows of three classes, with more columns by their position in the class."""
    return [
        {"text": f"{label} {i}", "label": label} | {k: of(i) for k, of in columns.items()}
        for label in CLASSES
        for i in range(each)
    ]


def ids(splits):
    return {s: set(part.ids.to_pylist()) for s, part in splits.items()}


def test_all_splits_have_all_classes_and_other_rows(tmp_path):
    splits = manifest(write_csv(tmp_path / "t.csv", reviews())).load({"text"})
    assert all(part.classes == list(CLASSES) for part in splits.values())
    assert {s: part.counts.tolist() for s, part in splits.items()} == {
        "train": [6, 6, 6],
        "val": [2, 2, 2],
        "test": [2, 2, 2],
    }
    train, val, test = ids(splits).values()
    assert len(train | val | test) == 30 and not (train & val or train & test or val & test)


def test_the_seed_decides_and_a_new_row_moves_few_others(tmp_path):
    def test_rows(rows, seed=0):
        return ids(manifest(write_csv(tmp_path / "t.csv", rows), split_seed=seed).load({"text"}))[
            "test"
        ]

    first = test_rows(reviews())
    assert test_rows(reviews()[::-1]) == first != test_rows(reviews(), seed=1)
    assert len(first - test_rows([*reviews(), {"text": "one more", "label": "neutral"}])) <= 1


def test_a_group_stays_on_one_side(tmp_path):
    rows = reviews(12, group=lambda i: f"speaker {i % 5}")
    splits = manifest(write_csv(tmp_path / "t.csv", rows)).load({"text"})
    speakers = {s: {int(t.split()[1]) % 5 for t in part} for s, part in ids(splits).items()}
    assert all(part.classes == list(CLASSES) for part in splits.values())
    assert sorted(speakers["train"] | speakers["val"] | speakers["test"]) == [0, 1, 2, 3, 4]
    assert sum(map(len, speakers.values())) == 5


def test_a_copy_stays_with_its_original(tmp_path):
    rows = [
        {"image_file_name": f"{label}{i}.png", "label": label}
        for label in ("cat", "dog")
        for i in range(12)
    ]
    for row in rows:  # 0 and 1, 2 and 3 … are the same picture
        name = row["image_file_name"]
        draw(tmp_path / name, ord(name[0]) * 100 + int(name[3:-4]) // 2)
    splits = manifest(write_csv(tmp_path / "t.csv", rows)).load({"image"})
    for part in splits.values():
        pairs = Counter((name[0], int(name[3:-4]) // 2) for name in part.ids.to_pylist())
        assert set(pairs.values()) == {2}
        assert (
            part.duplicates is not None
            and len(np.unique(part.duplicates)) == len(part.duplicates) / 2
        )


def test_a_class_of_two_rows_cannot_be_in_three_splits(tmp_path):
    path = write_csv(
        tmp_path / "t.csv", [*reviews(), *({"text": f"odd {i}", "label": "odd"} for i in range(2))]
    )
    with pytest.raises(
        UserError, match=r"row 31 of .*its class, 'odd', needs three rows or groups for dataset"
    ):
        manifest(path).load({"text"})
    skipping = manifest(path, on_bad_sample="skip")
    assert all(part.classes == list(CLASSES) for part in skipping.load({"text"}).values())
    assert len(skipping.skipped) == 2


def test_the_splits_of_the_table_are_kept(tmp_path):
    rows = reviews(split=lambda i: ["train", "val", "test"][i % 3])
    splits = manifest(write_csv(tmp_path / "t.csv", rows)).load({"text"})
    assert {
        s: sorted({int(t.split()[1]) % 3 for t in part}) for s, part in ids(splits).items()
    } == {
        "train": [0],
        "val": [1],
        "test": [2],
    }


def test_a_table_without_validation_gives_some_of_its_training_rows(tmp_path):
    rows = reviews(split=lambda i: "test" if i < 3 else "train")
    dataset = manifest(write_csv(tmp_path / "t.csv", rows))
    splits = dataset.load({"text"})
    assert {s: part.counts.tolist() for s, part in splits.items()} == {
        "train": [6, 6, 6],
        "val": [1, 1, 1],
        "test": [3, 3, 3],
    }
    assert "no row has the split val; 3 of train are used for validation" in dataset.notes


def test_a_group_in_two_splits_of_the_table_is_refused(tmp_path):
    rows = reviews(split=lambda i: ["train", "val", "test"][i % 3], group=lambda i: str(i // 2))
    with pytest.raises(
        UserError,
        match="group '0' is in split train and in split val, and 1 more are; with dataset",
    ):
        manifest(write_csv(tmp_path / "t.csv", rows)).load({"text"})


def test_a_copy_across_the_splits_of_the_table_is_reported(tmp_path):
    rows = reviews(split=lambda i: ["train", "val", "test"][i % 3])
    rows[2]["text"] = rows[0]["text"]
    dataset = manifest(write_csv(tmp_path / "t.csv", rows))
    test = dataset.load({"text"})["test"]
    assert "copies of rows of train or val in 1 row of test; leave them out" in dataset.notes
    # Of nine: the copy is not new.
    assert len([k for k in test.kept_apart if k.startswith("text")]) == 8


def test_scores_without_labels_are_one_task(tmp_path):
    rows = [{"text": f"text {i}", "score": i / 10} for i in range(20)]
    splits = manifest(write_csv(tmp_path / "t.csv", rows)).load({"text", "score"})
    assert all(part.classes == ["score"] for part in splits.values())
    assert [len(scores_of(part)) for part in splits.values()] == [12, 4, 4]


def test_what_holds_out_classes_names_the_option(tmp_path):
    few = write_csv(tmp_path / "few.csv", reviews()[:20])
    with pytest.raises(UserError, match="2 classes cannot be split .* by dataset.split_by=sample"):
        manifest(few, split_by="class").load({"text"})
    straddles = write_csv(
        tmp_path / "straddles.csv", reviews(split=lambda i: ["train", "val", "test"][i % 3])
    )
    with pytest.raises(
        UserError, match="class 'negative' is in split train .* set dataset.split_by=sample"
    ):
        manifest(straddles, split_by="class").load({"text"})


def test_a_run_that_looks_at_less_knows_what_was_trained_on(tmp_path):
    rows = [
        row | {"text": f"word {i % 7}", "image_file_name": f"{i}.png"}
        for i, row in enumerate(reviews())
    ]
    for i, row in enumerate(rows):
        draw(tmp_path / row["image_file_name"], 3 * i)
    path = write_csv(tmp_path / "t.csv", rows)
    full, texts = manifest(path).load({"image", "text"}), manifest(path).load({"text"})
    assert ids(full)["train"] & ids(texts)["test"]  # as texts recur, the rows are spread otherwise
    assert {*full["train"].kept_apart} & {*texts["test"].kept_apart}
    assert not {*full["train"].kept_apart} & {*full["test"].kept_apart}
