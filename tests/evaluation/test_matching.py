from dataclasses import replace

import numpy as np
import pytest
import torch

from mmml.config.schema import EvalEpisodes, EvaluationConfig
from mmml.data.base import Granularity, Samples
from mmml.data.column import Column
from mmml.episodes import Batch, EpisodeShape, Mapping, Sampler
from mmml.errors import UserError
from mmml.evaluation.judge import Judge
from mmml.evaluation.matching import match, matching_panel, matching_settings
from mmml.evaluation.panel import Setting, episode_settings
from mmml.tasks import tasks
from tests.conftest import make_learner

MODALITIES = {"image": Granularity.SAMPLE, "text": Granularity.SAMPLE}


class Told:
    """Answers what it is told, whatever it is shown."""

    def __init__(self, log_probabilities):
        self.answer = torch.tensor(log_probabilities).log()

    def adapt(self, support):
        return lambda query: self.answer


def test_a_query_goes_to_the_candidate_that_the_image_of_its_pair_resembles():
    first = Told([[[0.2, 0.7, 0.1], [0.5, 0.3, 0.2]]])  # two queries: the pair of class 1, then of class 0
    second = Told([[[0.1, 0.2, 0.7], [0.3, 0.1, 0.6], [0.1, 0.8, 0.1], [0.3, 0.6, 0.1], [1, 0, 0], [1, 0, 0]]])
    nothing = Batch(None, None, ())
    found = match(first, second, nothing, nothing).exp()
    assert torch.allclose(found, torch.tensor([[[0.2, 0.7, 0.1], [0.2, 0.15, 0.65]]]))  # means over two shots each


def unrelated(per_class: int = 4) -> Samples:
    """Six classes; images of class c are unit vector c, texts of class c unit vector 5 - c."""
    labels = np.repeat(np.arange(6), per_class)
    image, text = torch.eye(16)[labels], torch.eye(16)[5 - labels]
    columns = {m: Column(v, encoded=True) for m, v in (("image", image), ("text", text))}
    return Samples([f"class {c}" for c in range(6)], np.arange(7) * per_class, columns)


def played(ways: int, queries: int = 1) -> Setting:
    mappings = (Mapping(("image",), ("image",)), Mapping(("text",), ("text",)))
    return Setting(tasks.build("classification", {}, "task"), EpisodeShape(ways, 1, queries), mappings)


def of(samples: Samples) -> float:
    settings = matching_settings(["image:text"], [played(6, queries=2)], MODALITIES)
    learner = make_learner(classifier="nearest").eval()
    (cell,) = matching_panel([(learner, samples)], Sampler(samples, 0, "test"), settings, 20).cells
    assert (cell.task, cell.metric, cell.mapping, cell.episodes) == ("matching", "matching accuracy", "image:text", 20)
    return cell.mean


def test_modalities_without_a_common_space_are_matched_by_pairs():
    assert of(unrelated()) == 1


def test_a_query_that_resembles_another_pair_is_matched_wrongly():
    samples = unrelated()
    values = samples.columns["text"].values.clone()
    values[0:4] = values[4:8]  # class 0 sounds like class 1: of ties the first label wins, and labels are shuffled
    confused = replace(samples, columns=samples.columns | {"text": Column(values, encoded=True)})
    assert of(confused) == pytest.approx(5 / 6)


def test_only_what_is_known_in_both_modalities_is_matched():
    samples = unrelated()
    learner = make_learner().eval()
    del learner.embedder.encoders["text"]
    settings = matching_settings(["image:text"], [played(3)], MODALITIES)
    sampler = Sampler(samples, 0, "test")
    assert matching_panel([(learner, samples)], sampler, settings, 4).cells == []
    other = make_learner().eval()
    assert len(matching_panel([(learner, samples), (other, samples)], sampler, settings, 4).cells) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image:image", "image:image is not one modality on each side, two different ones"),
        ("image+text:image", "image.text:image is not one modality on each side"),
        (
            "image:audio",
            "image:audio needs audio, which no mapping has: name it in episode.eval.mappings too, as audio:audio",
        ),
        ("text:image", "text:image cannot match text: it is the same for a whole class"),
    ],
)
def test_what_cannot_be_matched_is_refused(text, message):
    per = MODALITIES | {"text": Granularity.CLASS}
    with pytest.raises(UserError, match=f"evaluation.matching: {message}"):
        matching_settings([text], [played(3)], per)


def test_the_panel_has_it_beside_chance():
    samples = unrelated()
    options = EvalEpisodes(ways=[3], shots=[1, 2], queries=2, mappings=["image:image", "text:text"])
    settings = episode_settings(options, MODALITIES, tasks.build("classification", {}, "task"))
    evaluation = EvaluationConfig(20, 20, 0, False, [], False, matching=["image:text"])
    matchings = matching_settings(evaluation.matching, settings, MODALITIES)
    judge = Judge({"val": samples, "test": samples}, MODALITIES, settings, evaluation, matchings)
    panel = judge.test(make_learner(classifier="nearest"), embedded=samples)
    found = {(c.predictor, c.shots): c.mean for c in panel.cells if c.task == "matching"}
    assert found == {("metric/nearest", 1): 1, ("metric/nearest", 2): 1, ("chance", 1): 1 / 3, ("chance", 2): 1 / 3}
