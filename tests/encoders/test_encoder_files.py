"""The files of conf/encoder say what they are, and every section of theirs builds."""

from pathlib import Path

import pytest

from mmml.config.compose import compose_plain
from mmml.encoders import build_embedder, encoders
from tests.encoders.material import RAGGED

FOLDER = Path(__file__).parents[2] / "conf" / "encoder"
OURS = ["small", "mlp", "raw"]
PARTS = sorted(f"{p.parent.name}/{p.stem}" for p in FOLDER.glob("*/*.yaml"))


@pytest.mark.parametrize("choice", OURS)
def test_every_section_builds_and_reads_its_modality(choice):
    options = compose_plain([f"encoder={choice}"])["encoder"]
    for modality in RAGGED.keys() & options.keys():
        section = dict(options[modality])
        encoder = encoders.build(
            section.pop("name"), section, f"encoder.{modality}", width=options["width"]
        )
        assert encoder.modality == modality
    assert choice == "mlp" or RAGGED.keys() <= options.keys()


@pytest.mark.parametrize("part", [p for p in PARTS if p.startswith("fusion/")])
def test_each_fusion_is_a_choice(part):
    name = part.partition("/")[2]
    options = compose_plain([f"encoder/{part.replace('/', '=')}"])["encoder"]
    assert options["fusion"]["name"] == name
    assert build_embedder(options, ["image", "text"]).fusion.modalities == ["image", "text"]


@pytest.mark.parametrize("part", [p for p in PARTS if not p.startswith("fusion/")])
def test_each_encoder_is_a_choice_of_its_modality(part):
    modality, name = part.split("/")
    options = compose_plain([f"encoder/{modality}={name}"])["encoder"]
    section = dict(options[modality])
    assert section["name"] == name and options["width"] == 128
    if not name.startswith("pretrained"):  # which needs a model
        width = None if encoders.get(name, part).has_own_width else 128
        assert (
            encoders.build(name, _rest(section), f"encoder.{modality}", width=width).modality
            == modality
        )


def _rest(section: dict) -> dict:
    return {k: v for k, v in section.items() if k != "name"}


@pytest.mark.parametrize("name", [*OURS, "pretrained", *PARTS])
def test_it_opens_with_what_it_is_and_a_command(name):
    comment = [
        line for line in (FOLDER / f"{name}.yaml").read_text().splitlines() if line.startswith("#")
    ]
    group, _, choice = name.rpartition("/")
    assert any(
        line.startswith(f"#   mmml-train encoder{'/' if group else ''}{group}={choice}")
        for line in comment
    )
