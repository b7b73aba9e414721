"""What is said, how it sounds and how the speaker looks: scores of few clips,
as the documentation has them.
"""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import soundfile

from tests.conftest import command
from tests.data.making import draw, write_csv

PAGE = Path(__file__).parents[1] / "docs" / "applications.md"
QUICK = ["trainer.steps=2", "trainer.warmup=0", "trainer.validate_every=1", "evaluation.episodes=4"]
QUICK += [
    "evaluation.validation_episodes=2",
    "encoder.width=16",
    "episode.train.shots=3",
    "episode.train.queries=3",
]
QUICK += ["episode.eval.shots=[3]", "episode.eval.queries=3", "hydra.run.dir=run"]


def clips(root: Path) -> None:
    """Thirty clips, rated on three quantities; a third of the clips lack a face."""
    rows, noise = [], np.random.default_rng(0)
    for i in range(30):
        soundfile.write(root / f"{i}.wav", 0.1 * noise.standard_normal(1600), 16000)
        face = draw(root / f"{i}.png", i).name if i % 3 else ""
        clip = {
            "text": f"take {i}",
            "audio_file_name": f"{i}.wav",
            "image_file_name": face,
            "group": i,
        }
        for split, quantity in (("train", "liking"), ("val", "arousal"), ("test", "sarcasm")):
            rows.append(clip | {"label": quantity, "score": 1 + i % 7, "split": split})
    write_csv(root / "metadata.csv", rows)


def test_the_documented_command_says_what_each_modality_adds(tmp_path):
    (message,) = re.findall(
        r"^mmml-train dataset=manifest.*?[^\\]$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "clips").mkdir()
    clips(tmp_path / "clips")
    options = shlex.split(message.replace("\\\n", ""))[1:]
    done = command("train", *options, *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "run" / "result.json").read_text())
    assert {c["metric"] for c in found["results"]} == {"MAE", "Pearson r", "binary accuracy", "F1"}
    others = {d["minus"] for d in found["differences"]}
    assert others >= {
        f"metric/attention, {m}:{m}" for m in ("audio+text", "image+text", "audio+image")
    }
