from tests.conftest import command
from tests.data.slices import slice_emoji


def test_what_a_dataset_has_is_shown(tmp_path):
    done = command("data", "show", "glyphs", "dataset.split_seed=0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["train", "1,311", "15,732", "12", "6"] in lines and [
        "test",
        "281",
        "3,372",
        "12",
        "6",
    ] in lines
    message = " ".join(done.stdout.split())
    assert "identical samples, never on both sides of an episode: train 2,9" in message
    assert "text: one for each class" in done.stdout and "EXCLAMATION MARK" in done.stdout
    assert "conf/dataset/glyphs.yaml" in done.stdout


def test_what_is_missing_is_counted(real_data, tmp_path):
    slice_emoji(real_data, tmp_path)
    options = [
        "dataset.root=.",
        "dataset.samples=both",
        "dataset.languages=[en,de]",
        "dataset.val=0.2",
    ]
    done = command("data", "show", "emoji", *options, cwd=tmp_path)
    assert done.returncode == 0 and "de, en" in done.stdout, done.stderr
    assert "image: one for each sample" in done.stdout


def test_mistakes_are_told(tmp_path):
    for arguments, message in (
        (["emojj"], "there is no dataset of that name; did you mean 'emoji'?"),
        (["glyphs", "seed=1"], "seed=1: mmml-data show takes options of the dataset alone"),
        ([], "give one dataset: mmml-data show NAME"),
        (["emoji", "dataset.root=nowhere"], "has no"),
    ):
        done = command("data", "show", *arguments, cwd=tmp_path)
        assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr


def test_a_modality_that_cannot_be_had_is_told_with_its_reason(real_data, tmp_path):
    done = command("data", "show", "ict_mmmo", f"dataset.root={real_data}", cwd=tmp_path)
    message = " ".join(done.stdout.split())
    assert done.returncode == 0 and "has no text_features of the train split" in message, (
        done.stderr
    )
    assert "audio_features: one for each sample" in message
