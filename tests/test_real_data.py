"""Real images, from ``$MMML_DATA``."""

import io
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from mmml.data.base import Granularity, Samples
from mmml.data.column import Column
from mmml.episodes import EpisodeShape, Mapping, Sampler
from mmml.evaluation.baselines import baselines
from mmml.evaluation.embed import embed_all
from mmml.evaluation.independence import check_independence
from mmml.evaluation.predictions import episode_results
from mmml.evaluation.setting import EvalSetting
from mmml.tasks import tasks
from tests.conftest import make_learner


@pytest.fixture(scope="module")
def omniglot(real_data) -> Samples:
    """Ten characters of one alphabet, ten drawers each, 105×105."""
    with zipfile.ZipFile(real_data / "omniglot" / "omniglot_images.zip") as archive:
        names = sorted(n for n in archive.namelist() if "/Greek/" in n and n.endswith(".png"))
        characters = sorted({n.rsplit("/", 1)[0] for n in names})[:10]
        images = [
            np.asarray(Image.open(io.BytesIO(archive.read(n))).convert("L"))
            for c in characters
            for n in [n for n in names if n.startswith(c + "/")][:10]
        ]
    column = Column(torch.from_numpy(255 - np.stack(images)))
    return Samples(characters, np.arange(11) * 10, {"image": column})


def test_characters_of_another_size_and_source(omniglot):
    assert omniglot.columns["image"].values.shape == (100, 105, 105)
    task, mapping = tasks.build("classification", {}, "task"), Mapping.parse("image:image")
    column = EvalSetting("few_shot", task, EpisodeShape(5, 1, 3), (mapping,))
    (raw,) = baselines.get("raw/nearest", "")({"image": Granularity.SAMPLE}, task)
    for learner in (raw, make_learner()):
        learner.eval()
        embedded, sampler = embed_all(learner, omniglot, ["image"]), Sampler(omniglot, 0, "test")
        (cell,) = episode_results(learner, embedded, sampler, [column], 100)
        assert cell.mean - cell.ci95 > 0.25  # chance is 0.2: even untrained, ink is worth something
        check_independence(learner, omniglot, embedded, sampler, column.shape, [mapping])
