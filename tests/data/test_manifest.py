import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from mmml.config.compose import compose_plain
from mmml.data import media_cache
from mmml.data.base import Granularity, datasets
from mmml.data.manifest import columns, read_rows
from mmml.errors import UserError
from tests.conftest import scores_of
from tests.data.making import OPTIONS, draw, pictures, write_csv, write_jsonl


def manifest(root, **options):
    return datasets.build("manifest", {**OPTIONS, "root": str(root), **options}, "dataset")


def load(root, *modalities, **options):
    return manifest(root, **options).load(set(modalities))


def refusal(root, *modalities, **options):
    with pytest.raises(UserError) as error:
        dataset = manifest(root, **options)
        dataset.load(set(modalities or dataset.modalities))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_table_of_pictures_gives_class_disjoint_splits(tmp_path):
    write_csv(tmp_path / "metadata.csv", pictures(tmp_path))
    splits = load(tmp_path, "image", "text")
    assert [len(splits[s].classes) for s in ("train", "val", "test")] == [4, 1, 1]
    assert sorted(c for s in splits.values() for c in s.classes) == [f"class {c}" for c in range(6)]
    train = splits["train"]
    assert train.counts.tolist() == [4] * 4 and not train.columns["image"].per_class
    assert train.columns["text"].per_class  # the label serves as text
    assert list(train.columns["text"].values[:]) == train.classes


def test_every_row_keeps_its_own_picture(tmp_path):
    write_csv(tmp_path / "metadata.csv", pictures(tmp_path)[::-1])
    for samples in load(tmp_path, "image").values():
        images = samples.columns["image"].values
        for row, name in enumerate(samples.ids.to_pylist()):
            expected = np.moveaxis(np.asarray(Image.open(tmp_path / name)), -1, 0)
            assert torch.equal(images[np.array([row])][0], torch.from_numpy(expected.copy()))
            assert samples.classes[samples.labels[row]] == f"class {name[1]}"


def test_class_folders_need_no_table(tmp_path):
    pictures(tmp_path)
    splits = load(tmp_path, "image")
    assert sorted(c for s in splits.values() for c in s.classes) == [f"c{c}" for c in range(6)]


def test_files_outside_of_folders_have_no_label(tmp_path):
    draw(tmp_path / "b.png", 1)
    draw(tmp_path / "a.png", 0)
    (tmp_path / "notes.txt").write_text("no media")
    rows = read_rows(str(tmp_path), "query", {})
    assert rows.column("id").to_pylist() == ["a.png", "b.png"] and not rows.has("label")
    draw(tmp_path / "cat" / "c.png", 0)
    assert read_rows(str(tmp_path), "query", {}).problems == {
        0: "it has no label",
        1: "it has no label",
    }


def test_split_folders_are_the_splits(tmp_path):
    for split, c in (("train", 0), ("train", 1), ("validation", 2), ("test", 3)):
        draw(tmp_path / split / f"c{c}" / "a.png", c)
    splits = load(tmp_path, "image")
    assert {s: part.classes for s, part in splits.items()} == {
        "train": ["c0", "c1"],
        "val": ["c2"],
        "test": ["c3"],
    }


def test_a_class_in_two_splits_is_refused(tmp_path):
    rows = [
        row | {"split": "test" if i == 3 else "train"} for i, row in enumerate(pictures(tmp_path))
    ]
    write_csv(tmp_path / "metadata.csv", rows)
    assert "class 'class 0' is in split train and in split test" in refusal(tmp_path, "image")


def test_what_is_the_same_for_a_class_belongs_to_the_class(tmp_path):
    rows = [row | {"text": f"the name of {row['label']}"} for row in pictures(tmp_path)]
    write_csv(tmp_path / "metadata.csv", rows)
    assert manifest(tmp_path).modalities == {"image": Granularity.SAMPLE, "text": Granularity.CLASS}
    rows[0]["text"] = "another"
    write_csv(tmp_path / "metadata.csv", rows)
    assert manifest(tmp_path).modalities["text"] is Granularity.SAMPLE


def test_columns_are_named_on_the_command_line(tmp_path):
    rows = [{"photo": r["image_file_name"], "kind": r["label"]} for r in pictures(tmp_path)]
    write_csv(tmp_path / "metadata.csv", rows)
    options = compose_plain(
        [
            "dataset=manifest",
            f"dataset.root={tmp_path}",
            "dataset.columns={image: photo, label: kind}",
        ]
    )["dataset"]
    assert datasets.build_section(options, "dataset").modalities["image"] is Granularity.SAMPLE


def test_without_labels_each_picture_is_a_class_with_its_captions(tmp_path):
    rows = [{"photo": f"c{i}/0.png", "caption": f"{i} {k}"} for i in range(6) for k in range(5)]
    pictures(tmp_path, each=1)
    write_csv(tmp_path / "pairs.csv", rows)
    splits = load(
        tmp_path / "pairs.csv", "image", "text", columns={"image": "photo", "text": "caption"}
    )
    train = splits["train"]
    assert train.columns["image"].per_class and not train.columns["text"].per_class
    assert (
        len(train.columns["image"].values) == len(train.classes) == 4
        and train.counts.tolist() == [5] * 4
    )
    texts = train.columns["text"].values[:]
    assert all(
        name == f"c{text[0]}/0.png"
        for name, text in zip(np.repeat(train.classes, 5), texts, strict=True)
    )


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_json_and_parquet_say_the_same_as_csv(tmp_path, kind):
    rows = pictures(tmp_path)
    expected = load(write_csv(tmp_path / "a.csv", rows), "image")
    if kind == "jsonl":
        path = write_jsonl(tmp_path / "metadata.jsonl", rows)
    else:
        path = tmp_path / "metadata.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path)
    found = load(path, "image")
    for split in expected:
        assert found[split].classes == expected[split].classes
        assert found[split].ids.to_pylist() == expected[split].ids.to_pylist()


def test_numbers_serve_as_labels_in_json(tmp_path):
    rows = [row | {"label": int(row["label"][-1])} for row in pictures(tmp_path)]
    write_jsonl(tmp_path / "metadata.jsonl", rows)
    assert sorted(c for s in load(tmp_path, "image").values() for c in s.classes) == list("012345")


def test_several_files_are_several_samples_of_one_group(tmp_path):
    pictures(tmp_path)
    rows = [
        {"id": f"i{c}", "label": f"c{c}", "image_file_names": [f"c{c}/0.png", f"c{c}/1.png"]}
        for c in range(6)
    ]
    write_jsonl(tmp_path / "metadata.jsonl", rows)
    train = load(tmp_path, "image")["train"]
    assert train.counts.tolist() == [2] * 4 and len(set(train.groups.tolist())) == 4
    assert train.ids.to_pylist()[0].endswith("#0")


def test_scores_become_targets(tmp_path):
    rows = [row | {"score": f"{i / 2}"} for i, row in enumerate(pictures(tmp_path))]
    write_csv(tmp_path / "metadata.csv", rows)
    for samples in load(tmp_path, "image", "score").values():
        wanted = [float(rows[4 * int(n[1]) + int(n[3])]["score"]) for n in samples.ids.to_pylist()]
        assert scores_of(samples).tolist() == wanted


@pytest.mark.parametrize("way", ["matrix", "parquet", "files"])
def test_features_in_one_matrix_a_vector_column_or_files(tmp_path, way):
    features = np.arange(24 * 3, dtype=np.float32).reshape(24, 3)
    rows = [{"id": f"r{i}", "label": f"c{i // 4}"} for i in range(24)]
    options = {}
    if way == "matrix":
        np.save(tmp_path / "m.npy", features.astype(np.float16))
        write_csv(tmp_path / "metadata.csv", [r | {"text": r["id"]} for r in rows])
        options = {"features": "m.npy"}
    elif way == "parquet":
        table = pa.Table.from_pylist(rows).append_column("features", pa.array(features.tolist()))
        pq.write_table(table, tmp_path / "metadata.parquet", row_group_size=5)
    else:
        for i, vector in enumerate(features):
            np.save(tmp_path / f"{i}.npy", vector)
        write_csv(
            tmp_path / "metadata.csv",
            [r | {"features_file_name": f"{i}.npy"} for i, r in enumerate(rows)],
        )
    for samples in load(tmp_path, "features", **options).values():
        rows_of = [int(n[1:]) for n in samples.ids.to_pylist()]
        assert np.array_equal(
            samples.columns["features"].values[np.arange(len(rows_of))], features[rows_of]
        )


def test_a_matrix_with_another_number_of_rows_is_refused(tmp_path):
    np.save(tmp_path / "m.npy", np.zeros((5, 2)))
    write_csv(tmp_path / "metadata.csv", [{"label": "a", "text": str(i)} for i in range(6)])
    assert "has 5 rows" in refusal(tmp_path, features="m.npy")


BAD = {
    "no label": ({"label": ""}, "it has no label"),
    "missing file": ({"image_file_name": "c9/9.png"}, "c9/9.png: it cannot be opened"),
    "path outside": ({"image_file_name": "../secret.png"}, "lies outside of the folder"),
    "absolute path": ({"image_file_name": "/etc/passwd"}, "lies outside of the folder"),
    "unknown split": ({"split": "trian"}, "its split is none of train, val and test"),
    "no number": ({"score": "much"}, "its score is no number"),
    "infinite": ({"score": "inf"}, "its score is no number"),
    "same id": ({"id": "r1"}, "its id is that of an earlier row"),
    "unclosed quote": ({"label": 'a\nb,"c'}, "its label holds a line break"),
    "ten megabytes": ({"text": "x" * 10_000_000}, "its text is over a million bytes long"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_row_that_cannot_be_used_is_named_or_skipped(tmp_path, name):
    change, why = BAD[name]
    split = ["train"] * 16 + ["val"] * 4 + ["test"] * 4
    rows = [
        row | {"id": f"r{i}", "score": "1.5", "split": split[i], "text": f"text {i}"}
        for i, row in enumerate(pictures(tmp_path))
    ]
    rows[5] |= change
    write_csv(tmp_path / "metadata.csv", rows)
    message = refusal(tmp_path, "image")
    assert why in message and "row 6 of" in message and "dataset.on_bad_sample=skip" in message
    dataset = manifest(tmp_path, on_bad_sample="skip")
    kept = dataset.load({"image"})
    assert sum(int(s.counts.sum()) for s in kept.values()) == 23
    (line,) = dataset.skipped
    assert why in line and "row 6 of" in line


TABLES = {
    "empty file": (b"", "is empty"),
    "header only": (b"image_file_name,label\n", "has no rows"),
    "not UTF-8": (b"image_file_name,label\na.png,caf\xe9\n", "line 2 is not UTF-8"),
    "too few cells": (b"image_file_name,label\na.png\n", "row 1 (line 2) has 1 cells"),
    "too many cells": (b"image_file_name,label\na.png,b,c\n", "row 1 (line 2) has 3 cells"),
    "one name twice": (b"label,label\na,b\n", "names column 'label' twice"),
    "nothing of use": (b"label,colour\na,b\n", "has no column with a modality"),
    "near miss": (b"label,image_filename\na,b.png\n", "did you mean 'image_file_name'"),
    "binary": (bytes(range(256)) * 20, ""),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_cannot_be_read_is_refused_in_one_sentence(tmp_path, name):
    content, why = TABLES[name]
    (tmp_path / "metadata.csv").write_bytes(content)
    assert why in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"label": "a", "text": "b"}\n{"label": ', "line 2 is no JSON"),
        (b"[1, 2]\n", "no JSON object"),
        (b'{"label": "caf\xe9"}\n', "line 1 is not UTF-8"),
        (b"[" * 100_000 + b"\n", "line 1 is no JSON"),
        (b"", ""),
    ],
)
def test_a_damaged_json_table_is_refused(tmp_path, content, why):
    (tmp_path / "metadata.jsonl").write_bytes(content)
    assert why in refusal(tmp_path)


def test_a_damaged_parquet_table_is_refused(tmp_path):
    pq.write_table(
        pa.table({"label": ["a", "b"], "text": ["x", "y"]}), tmp_path / "metadata.parquet"
    )
    full = (tmp_path / "metadata.parquet").read_bytes()
    for content in (b"", full[:40], full[:-8], b"PAR1" * 4):
        (tmp_path / "metadata.parquet").write_bytes(content)
        assert "cannot be read" in refusal(tmp_path)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    rows = pictures(tmp_path)
    text = write_csv(tmp_path / "metadata.csv", rows).read_text()
    (tmp_path / "metadata.csv").write_text("\ufeff" + text, encoding="utf-8")
    assert load(tmp_path, "image")["train"].counts.sum() == 16


def test_a_quoted_cell_may_hold_commas_and_line_breaks(tmp_path):
    rows = [row | {"text": f'a, "b"\nand {i}'} for i, row in enumerate(pictures(tmp_path))]
    write_csv(tmp_path / "metadata.csv", rows)
    texts = [
        t for s in load(tmp_path, "image", "text").values() for t in s.columns["text"].values[:]
    ]
    assert sorted(texts) == sorted(r["text"] for r in rows)


def test_two_tables_in_one_folder_are_refused(tmp_path):
    write_csv(tmp_path / "metadata.csv", pictures(tmp_path))
    write_jsonl(tmp_path / "metadata.jsonl", [{"label": "a", "text": "b"}])
    assert "name the file to be read" in refusal(tmp_path)


def test_unknown_columns_of_the_users_are_named(tmp_path):
    write_csv(tmp_path / "metadata.csv", pictures(tmp_path))
    assert "has no such column; did you mean 'label'" in refusal(tmp_path, columns={"text": "labl"})
    assert "no kind of column; did you mean 'text'" in refusal(tmp_path, columns={"texts": "label"})


def test_too_few_classes_to_split_is_refused(tmp_path):
    write_csv(tmp_path / "metadata.csv", pictures(tmp_path, classes=2))
    assert "2 classes cannot be split" in refusal(tmp_path, "image")


def test_a_changed_file_is_decoded_anew(tmp_path):
    write_csv(tmp_path / "metadata.csv", pictures(tmp_path))
    before = load(tmp_path, "image")["train"].columns["image"].values[:]
    draw(tmp_path / "c0" / "0.png", 7)
    after = {s: p.columns["image"].values[:] for s, p in load(tmp_path, "image").items()}
    fresh = np.moveaxis(np.asarray(Image.open(tmp_path / "c0" / "0.png")), -1, 0)
    assert any((image.numpy() == fresh).all() for images in after.values() for image in images)
    assert before.shape == (16, 3, 12, 12)


def test_a_class_without_a_name_does_not_get_its_neighbours(tmp_path):
    rows = [row | {"text": f"the name of {row['label']}"} for row in pictures(tmp_path)]
    for row in rows[4:8]:
        row["text"] = ""
    write_csv(tmp_path / "metadata.csv", rows)
    assert (
        "row 5 of" in (message := refusal(tmp_path, "image", "text"))
        and "its class has no text" in message
    )
    for samples in load(tmp_path, "image", "text", on_bad_sample="skip").values():
        assert "class 1" not in samples.classes
        assert [f"the name of {c}" for c in samples.classes] == list(
            samples.columns["text"].values[:]
        )


def test_an_empty_column_is_no_column(tmp_path):
    rows = [
        r | {"text": "", "split": "", "score": "", "group": "", "audio_file_name": ""}
        for r in pictures(tmp_path)
    ]
    write_csv(tmp_path / "metadata.csv", rows)
    assert set(manifest(tmp_path).modalities) == {"image", "text"}  # labels serve as texts
    train = load(tmp_path, "image", "text")["train"]
    assert (
        list(train.columns["text"].values[:]) == train.classes
        and "score" not in train.columns
        and train.groups is None
    )


def test_a_row_without_a_group_is_a_group_of_its_own(tmp_path):
    rows = [row | {"group": "g" if i % 2 else ""} for i, row in enumerate(pictures(tmp_path))]
    write_csv(tmp_path / "metadata.csv", rows)
    groups = load(tmp_path, "image")["train"].groups.tolist()
    assert len(set(groups)) == 8 + 1 and sorted(groups.count(g) for g in set(groups))[-1] == 8


def test_a_refused_file_is_not_opened(tmp_path, monkeypatch):
    opened = []
    decode = columns.decode_files
    monkeypatch.setattr(
        columns, "decode_files", lambda m, p, limits: (opened.extend(p), decode(m, p, limits))[1]
    )
    rows = pictures(tmp_path / "set")
    rows[0]["image_file_name"], rows[-1]["image_file_name"] = "", "../secret.png"
    draw(tmp_path / "secret.png", 0)
    write_csv(tmp_path / "set" / "metadata.csv", rows)
    load(tmp_path / "set", "image", on_bad_sample="skip")
    assert len(opened) == 22 and not any("secret" in str(p) for p in opened)


def test_vectors_of_a_table_stay_with_the_rows_that_list_several_files(tmp_path):
    pictures(tmp_path)
    rows = [
        {"id": f"i{c}", "label": f"c{c}", "image_file_names": [f"c{c}/0.png", f"c{c}/1.png"]}
        for c in range(6)
    ]
    table = pa.Table.from_pylist(rows).append_column(
        "features", pa.array([[float(c)] * 3 for c in range(6)])
    )
    pq.write_table(table, tmp_path / "metadata.parquet")
    for samples in load(tmp_path, "image", "features").values():
        values = samples.columns["features"].values[
            np.arange(len(samples.columns["features"].values))
        ]
        names = samples.ids.to_pylist()
        if samples.columns["features"].per_class:
            names = samples.classes
        assert values[:, 0].tolist() == [float(n[1]) for n in names]


@pytest.mark.parametrize("name", ["train", "test"])
def test_a_class_may_have_the_name_of_a_split(tmp_path, name):
    for c in (name, "car", "bus", "boat"):
        draw(tmp_path / c / "a.png", 0)
    assert sorted(c for s in load(tmp_path, "image").values() for c in s.classes) == sorted(
        [name, "car", "bus", "boat"]
    )


def test_what_failed_for_lack_of_time_is_tried_again(tmp_path, monkeypatch):
    write_csv(tmp_path / "metadata.csv", pictures(tmp_path))
    monkeypatch.setattr("mmml.data.media.pool.SECONDS", 0.0)
    assert "decoding it takes over" in refusal(tmp_path, "image")
    monkeypatch.undo()
    assert len(load(tmp_path, "image")["train"].classes) == 4


def test_of_two_processes_that_decode_the_same_both_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path / "cache"))
    write_csv(tmp_path / "metadata.csv", pictures(tmp_path))
    write = media_cache.write_json
    calls = []

    def race(path, content):
        write(path, content)
        if not calls:  # another process finishes meanwhile
            calls.append(1)
            load(tmp_path, "image")

    monkeypatch.setattr(media_cache, "write_json", race)
    assert len(load(tmp_path, "image")["train"].classes) == 4
    assert not list((tmp_path / "cache").glob(".image-*"))


def test_a_table_of_one_column_keeps_its_empty_lines(tmp_path):
    (tmp_path / "q.csv").write_text("text\none\n\nthree\n")
    rows = read_rows(str(tmp_path / "q.csv"), "query", {}, targets=False)
    assert rows.column("text").to_pylist() == ["one", None, "three"]
    assert rows.names.to_pylist() == ["one", "2", "three"]


def test_rows_of_one_name_are_told_apart(tmp_path):
    rows = [{"photo": "c0/0.png", "caption": c} for c in ("a", "b")] + [
        {"photo": "c1/0.png", "caption": "c"}
    ]
    write_csv(tmp_path / "t.csv", rows)
    found = read_rows(
        str(tmp_path / "t.csv"), "dataset.root", {"image": "photo", "text": "caption"}
    )
    assert found.names.to_pylist() == ["c0/0.png", "c0/0.png#2", "c1/0.png"]


def test_a_column_of_no_vectors(tmp_path):
    table = pa.table({"label": ["a", "b"], "features": [1.0, 2.0]})
    pq.write_table(table, tmp_path / "metadata.parquet")
    assert "column 'features' holds double, and not vectors" in refusal(tmp_path)


def test_numbers_that_float32_cannot_hold(tmp_path):
    np.save(tmp_path / "m.npy", np.array([[1.0], [1e39]] * 12))
    write_csv(
        tmp_path / "metadata.csv", [{"label": f"c{i // 4}", "score": "1e30"} for i in range(24)]
    )
    assert (
        "row 2 of" in (message := refusal(tmp_path, "features", features="m.npy"))
        and "not finite" in message
    )


def test_what_is_left_out_serves_no_class(tmp_path):
    """The picture of a class stands in its first row alone, which lacks a text."""
    rows = [
        {
            "label": f"c{c}",
            "text": f"text {c} {i}" if c != 2 or i else "",
            "image_file_name": f"c{c}/0.png" if i == 0 else "",
        }
        for c in range(6)
        for i in range(4)
    ]
    pictures(tmp_path, each=1)
    write_csv(tmp_path / "metadata.csv", rows)
    splits = load(tmp_path, "image", "text", on_bad_sample="skip")
    assert sorted(c for s in splits.values() for c in s.classes) == ["c0", "c1", "c3", "c4", "c5"]


@pytest.mark.parametrize("other", ["notes", "annotations"])
def test_folders_without_media_beside_the_splits_are_no_classes(tmp_path, other):
    for split, c in (("train", 0), ("train", 1), ("val", 2), ("test", 3)):
        draw(tmp_path / split / f"c{c}" / "a.png", c)
    (tmp_path / other).mkdir()
    (tmp_path / other / "readme.txt").write_text("no media")
    assert {s: p.classes for s, p in load(tmp_path, "image").items()}["train"] == ["c0", "c1"]


def test_samples_without_a_score_are_left_out_where_scores_are_needed(tmp_path):
    rows = [row | {"score": "" if i == 1 else "1"} for i, row in enumerate(pictures(tmp_path))]
    write_csv(tmp_path / "metadata.csv", rows)
    assert sum(int(s.counts.sum()) for s in load(tmp_path, "image").values()) == 24
    kept = manifest(tmp_path, on_bad_sample="skip").load({"image", "score"})
    assert sum(int(s.counts.sum()) for s in kept.values()) == 23
    with pytest.raises(UserError, match="row 2 of .* it has no score"):
        manifest(tmp_path).load({"image", "score"})


def test_empty_lines_at_the_end_of_a_column_are_no_rows(tmp_path):
    (tmp_path / "q.csv").write_text("text\none\n\nthree\n\n\n")
    assert len(read_rows(str(tmp_path / "q.csv"), "query", {}, targets=False)) == 3


def test_rows_that_lack_one_of_several_modalities_can_be_kept(tmp_path):
    rows = [row | {"text": f"a caption {i}"} for i, row in enumerate(pictures(tmp_path))]
    rows[1]["image_file_name" if "image_file_name" in rows[1] else "image"] = ""
    rows[2]["text"] = ""
    write_csv(tmp_path / "metadata.csv", rows)
    message = refusal(tmp_path, "image", "text")
    assert "it has no image" in message and "keep what some lack by dataset.missing=keep" in message
    splits = load(tmp_path, "image", "text", missing="keep")
    missing = {
        m: [(~c.mask).sum() for p in splits.values() if (c := p.columns[m]).mask is not None]
        for m in ("image", "text")
    }
    assert missing == {"image": [1], "text": [1]} and sum(
        int(p.counts.sum()) for p in splits.values()
    ) == len(rows)
    with pytest.raises(UserError, match="row 3 of .*: it has no text"):
        load(tmp_path, "text", missing="keep")
    rows[1]["text"] = ""
    write_csv(tmp_path / "metadata.csv", rows)
    with pytest.raises(UserError, match="row 2 of .*: it has no image or text"):
        load(tmp_path, "image", "text", missing="keep")


def test_pictures_that_decode_to_nothing_are_named_with_the_mend(tmp_path):
    for c in range(6):
        for i in range(4):
            (tmp_path / f"c{c}").mkdir(exist_ok=True)
            values = np.random.default_rng([c, i]).integers(0, 200, (8, 8)).astype(np.uint16)
            Image.fromarray(values).save(tmp_path / f"c{c}" / f"{i}.png")
    dark = manifest(tmp_path)
    dark.load({"image"})
    assert dark.notes[0] == f"24 image files read from {tmp_path}"
    assert dark.notes[1].startswith(
        "24 image files are constant after decoding (c0/0.png, c0/1.png, c0/2.png, …); "
    )
    assert "dataset.image_range=each" in dark.notes[1]
    light = manifest(tmp_path, image_range="each")
    light.load({"image"})
    assert light.notes == dark.notes[:1]
    again = manifest(tmp_path)
    again.load({"image"})  # from the cache
    assert again.notes == dark.notes
