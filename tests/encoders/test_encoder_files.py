"""The files of conf/encoder say what they are, and every section of theirs builds."""

from pathlib import Path

import pytest
import yaml

from mmml.config.compose import compose_plain
from mmml.encoders import encoders
from tests.encoders.material import RAGGED

FOLDER = Path(__file__).parents[2] / "conf" / "encoder"
OURS = ["small", "mlp", "resnet12", "torchvision", "wordpiece", "raw"]


@pytest.mark.parametrize("choice", OURS)
def test_every_section_builds_and_reads_its_modality(choice):
    options = compose_plain([f"encoder={choice}"])["encoder"]
    for modality in RAGGED.keys() & options.keys():
        section = dict(options[modality])
        encoder = encoders.build(section.pop("name"), section, f"encoder.{modality}", width=options["width"])
        assert encoder.modality == modality
    assert "mlp" in choice or RAGGED.keys() <= options.keys()


@pytest.mark.parametrize("choice", OURS)
def test_it_opens_with_what_it_is_and_a_command(choice):
    comment = [line for line in (FOLDER / f"{choice}.yaml").read_text().splitlines() if line.startswith("#")]
    assert any(line.startswith("#   mmml-train encoder=") for line in comment)


def test_torchvision_differs_from_small_in_images_alone():
    small, other = (yaml.safe_load((FOLDER / f"{c}.yaml").read_text()) for c in ("small", "torchvision"))
    assert {k for k in small if small[k] != other[k]} == {"image"}
