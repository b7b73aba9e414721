"""Which files of several folders are the choices of a group."""

import pytest

from mmml.config import folders


@pytest.fixture
def own(tmp_path):
    """A folder with a choice of its own, a choice that mmml has too, and a pair of choices."""
    for name in ("dataset/dots", "dataset/glyphs", "experiment/method/dots/metric"):
        file = tmp_path / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("name: dots\n")
    return tmp_path


def test_choices_of_all_folders_are_sorted_by_name(own):
    found = folders.choices("dataset", [own])
    assert list(found) == sorted(found) and {"dots", "emoji", "glyphs"} <= set(found)
    assert found["dots"] == own / "dataset" / "dots.yaml"


def test_of_files_with_one_name_the_first_folder_counts(own):
    """As for Hydra, which searches the folders in this order."""
    ours = folders.conf_dir() / "dataset" / "glyphs.yaml"
    assert folders.choices("dataset", [own])["glyphs"] == ours
    assert folders.choice_file("dataset", "glyphs", [own]) == ours


def test_a_choice_may_be_in_a_subfolder(own):
    found = folders.choice_file("experiment/method", "dots/metric", [own])
    assert found == own / "experiment" / "method" / "dots" / "metric.yaml"
    assert folders.choice_file("experiment/method", "dots/metric") is None
