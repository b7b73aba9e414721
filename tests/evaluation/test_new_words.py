import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from mmml.data.base import Samples
from mmml.data.column import Column
from mmml.data.manifest.columns import Texts
from mmml.episodes import EpisodeShape, Mapping, Sampler
from mmml.evaluation.evaluator import Player
from mmml.evaluation.evaluators.gallery import Gallery, gallery
from mmml.evaluation.new_words import NEW_WORDS, NewWords
from mmml.evaluation.paired import differences
from mmml.evaluation.predictions import EpisodePredictions, episode_results
from mmml.evaluation.setting import EvalSetting
from mmml.reporting import rows as show
from mmml.tasks import tasks
from tests.conftest import make_learner
from tests.evaluation.making import context_of, settings_of

TASK = tasks.build("classification", {}, "task")
TRAIN = [["small letter a"], ["Small letter e", "CAPITAL letter o"], ["sign"]]
TEST = [["small a"], ["letter schwa", "small e"], ["capital sign"], ["kra"]]


def named(names, images=2):
    count = len(names)
    pictures = torch.randint(
        0, 256, (count * images, 16, 16), generator=torch.Generator().manual_seed(0)
    )
    columns = {"image": Column(pictures.to(torch.uint8)), "text": Column.of_texts(names)}
    return Samples([n[0] for n in names], np.arange(count + 1) * images, columns)


@pytest.fixture
def new():
    return NewWords(named(TRAIN), named(TEST))


def test_names_of_a_manifest_are_read_as_those_in_memory():
    def stored(samples):
        text = samples.columns["text"]
        return replace(
            samples,
            columns={**samples.columns, "text": replace(text, values=Texts(pa.array(text.values)))},
        )

    found = NewWords(stored(named(TRAIN)), stored(named(TEST)))
    classes = np.arange(4)[None]
    assert found.of(Mapping.parse("text:image"), classes, np.zeros((1, 4))).tolist() == [
        [False, True, False, True]
    ]


@pytest.mark.parametrize(
    ("pick", "expected"), [(0.0, [False, True, False, True]), (0.9, [False, False, False, True])]
)
def test_of_several_names_the_one_that_is_shown_counts(new, pick, expected):
    classes = np.arange(4)[None]
    for mapping in ("text:image", "image:text"):
        assert new.of(Mapping.parse(mapping), classes, np.full((1, 4), pick)).tolist() == [expected]


@pytest.mark.parametrize("mapping", ["image:image", "image+text:image"])
def test_only_where_a_side_shows_names_alone(new, mapping):
    assert new.of(Mapping.parse(mapping), np.arange(4)[None], np.zeros((1, 4))) is None


def test_the_score_is_that_of_queries_about_such_names_alone(new):
    setting = EvalSetting("few_shot", TASK, EpisodeShape(2, 1, 2), (Mapping.parse("text:image"),))
    drawn = Sampler(named(TEST), 0, "test").draw(range(3), setting.shape)
    object.__setattr__(drawn, "classes", np.array([[0, 3], [1, 3], [0, 2]]))
    object.__setattr__(drawn, "pick", np.zeros((3, 2)))
    targets = torch.tensor([[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1]])
    scores = {TASK.metrics[0]: torch.tensor([[1.0, 0, 1, 1], [1, 1, 0, 1], [0, 0, 0, 0]])}
    new.watch(
        setting, EpisodePredictions(setting.mappings[0], drawn, torch.empty(0), targets), scores
    )
    (row,) = new.results(make_learner(), "test")
    assert row.scores.tolist() == [0.5, 0.75]  # of the third episode no name has a new word
    assert (row.mean, row.n, row.key.subset, row.answers) == (0.625, 2, NEW_WORDS, 3)


def test_without_a_training_split_nothing_is_known():
    assert (
        NewWords(None, named(TEST)).of(
            Mapping.parse("text:image"), np.zeros((1, 1), int), np.zeros((1, 1))
        )
        is None
    )


def test_rankings_have_rows_of_their_own(new):
    samples, learner = named(TEST), make_learner().eval()
    context = context_of(samples, settings_of(ways=[2], shots=[1], mappings=["text:image"]))
    alone = Gallery(12).run(Player(learner, samples), context)
    context.samples["train"] = named(TRAIN)
    results = Gallery(12).run(Player(learner, samples), context)
    full, part = results.where(subset=None), results.where(subset=NEW_WORDS)
    assert full == alone and [r.key.metric for r in full] == [r.key.metric for r in part]
    subset = new.subset(Mapping.parse("text:image"), gallery(samples, 0))
    assert subset[NEW_WORDS].tolist() == [False, True, False, True]


@pytest.mark.parametrize(("classes", "some"), [([0, 1], False), ([0, 1, 3], True), ([0, 2], False)])
def test_one_class_is_no_subset(new, classes, some):
    drawn = gallery(named(TEST), 0)
    part = replace(drawn, classes=drawn.classes[:, classes], pick=drawn.pick[:, classes])
    assert bool(new.subset(Mapping.parse("text:image"), part)) == some


def test_they_are_told_apart_and_nothing_is_quoted_or_compared_by_them(new):
    samples, learner = named(TEST, images=3), make_learner()
    setting = EvalSetting("few_shot", TASK, EpisodeShape(4, 1, 2), (Mapping.parse("text:image"),))
    results = episode_results(
        learner, samples, Sampler(samples, 0, "test"), [setting], 5, [new.watch]
    )
    results.extend(new.results(learner, "test"))
    plain = json.loads(json.dumps(results.plain()))
    assert [show.predictor(r) for r in plain] == [
        "metric/prototype",
        f"metric/prototype, {NEW_WORDS}",
    ]
    assert len({show.name(r) for r in plain}) == 2 and show.headlines(plain) == plain[:1]
    assert len(differences(results, [("metric/prototype", "metric/prototype")])) == 1
