"""What is tested must never have been trained on: the splits of a manifest."""

import pytest

from mmml.data.base import datasets
from mmml.errors import UserError
from tests.data.making import OPTIONS, pictures, write_csv

SPLIT_OF = ["train", "train", "train", "train", "val", "test"]  # of the six classes


def load(root, *modalities, **options):
    return datasets.build("manifest", {**OPTIONS, "root": str(root), **options}, "dataset").load(
        set(modalities)
    )


def table(folder, straying: dict[int, str]):
    """A manifest of texts with whole classes in a split, but for some rows."""
    rows = [
        {
            "text": f"text {i}",
            "label": f"class {i // 4}",
            "split": straying.get(i, SPLIT_OF[i // 4]),
        }
        for i in range(24)
    ]
    return write_csv(folder / "metadata.csv", rows)


@pytest.mark.parametrize(
    ("row", "strays", "message"),
    [
        (3, "val", "class 'class 0' is in split train and in split val;"),
        (7, "test", "class 'class 1' is in split train and in split test;"),
        (19, "test", "class 'class 4' is in split val and in split test;"),
        (23, "val", "class 'class 5' is in split val and in split test;"),
        (20, "train", "class 'class 5' is in split train and in split test;"),
    ],
)
def test_a_class_with_a_row_in_another_split_is_refused_by_name(tmp_path, row, strays, message):
    with pytest.raises(UserError, match=message):
        load(table(tmp_path, {row: strays}), "text")


def test_all_classes_that_stray_are_counted(tmp_path):
    with pytest.raises(
        UserError, match="class 'class 0' is in split train and in split val, and 2 more are;"
    ):
        load(table(tmp_path, {0: "val", 4: "val", 8: "val"}), "text")


def test_the_splits_of_a_table_are_kept_row_by_row(tmp_path):
    splits = load(table(tmp_path, {}), "text")
    assert {s: p.ids.to_pylist() for s, p in splits.items()} == {
        "train": [f"text {i}" for i in range(16)],
        "val": [f"text {i}" for i in range(16, 20)],
        "test": [f"text {i}" for i in range(20, 24)],
    }


def test_splits_that_are_made_depend_on_the_seed_and_the_fractions_of_each(tmp_path):
    rows = [
        row | {"label": f"class {i}", "text": str(i)}
        for i, row in enumerate(pictures(tmp_path, 2, 10))
    ]
    path = write_csv(tmp_path / "t.csv", rows)
    sizes = {s: len(p.classes) for s, p in load(path, "text", val=0.1, test=0.3).items()}
    assert sizes == {"train": 12, "val": 2, "test": 6}
    first, again, other = (
        load(path, "text", split_seed=seed)["test"].classes for seed in (0, 0, 1)
    )
    assert first == again != other


def test_fractions_are_of_no_account_where_the_table_has_splits(tmp_path):
    assert [
        len(part.classes) for part in load(table(tmp_path, {}), "text", val=0.0, test=0.0).values()
    ] == [4, 1, 1]
