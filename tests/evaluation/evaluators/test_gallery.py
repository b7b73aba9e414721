import json

import numpy as np
import pytest
import torch

from mmml.errors import UserError
from mmml.evaluation.embed import embed_all
from mmml.evaluation.evaluator import Player
from mmml.evaluation.evaluators.gallery import Gallery, gallery, rank
from mmml.evaluation.statistics import interval
from mmml.tasks.ranking import RECALLS
from tests.conftest import MLP, make_learner
from tests.evaluation.making import context_of, settings_of

MAPPINGS = ["image:image", "text:image", "image:text", "image+text:image"]


@pytest.fixture
def context(samples):
    return context_of(samples, settings_of(mappings=MAPPINGS))


def ranked(learner, context):
    return Gallery(12).run(Player(learner, embed_all(learner, context.samples["test"])), context)


def test_only_pairs_of_different_modalities(context):
    assert [str(m) for m in Gallery(12).setting(context).mappings] == ["text:image", "image:text"]


def test_galleries_show_every_class_once_and_another_sample_each(samples):
    shown = np.concatenate([gallery(samples, g).support for g in range(4)])
    assert shown.shape == (4, 6, 1)
    assert (samples.labels[shown[..., 0]] == np.arange(6)).all()
    assert len(set(shown.ravel().tolist())) == 24


def test_a_perfect_space_ranks_first(samples, context):
    learner = make_learner(MLP)
    eye = torch.eye(6)
    encode = {
        "image": lambda raw: eye[torch.from_numpy(samples.labels[: len(raw)])],
        "text": lambda raw: torch.stack([eye[int(t.split()[1].split(".")[0])] for t in raw]),
    }
    learner.embedder.encode = lambda modality, column: encode[modality](column.values)
    scores = {(r.key.mapping, r.key.metric): r.mean for r in ranked(learner, context)}
    assert scores["text:image", "R@1"] == 1.0 and scores["text:image", "median rank"] == 1.0


def test_the_interval_is_over_queries(samples, context, learner):
    results, setting = ranked(learner, context), Gallery(12).setting(context)
    mapping, embedded = setting.mappings[0], embed_all(learner, samples)
    hits = [setting.task.scores(*rank(learner, embedded, mapping, g))[RECALLS[1]] for g in range(4)]
    # Six queries, not four galleries.
    expected = interval(torch.cat(hits).mean(0).double().numpy(), 1)
    (row,) = [r for r in results.where(metric="R@1") if r.key.mapping == str(mapping)]
    assert (row.mean, row.ci95) == (pytest.approx(expected[0]), pytest.approx(expected[1]))
    assert {r.n for r in results} == {4} and {r.key.candidates for r in results} == {6}
    assert all(r.ci95 is None for r in results.where(metric="median rank"))


def test_the_scores_behind_a_row_average_to_it(context, learner):
    results = ranked(learner, context)
    assert len(results) and all(r.mean == pytest.approx(r.scores.mean()) for r in results)


def test_there_may_be_fewer_galleries(samples, context, learner):
    one = Gallery(1).run(Player(learner, embed_all(learner, samples)), context)
    assert {r.n for r in one} == {1} and {len(r.scores) for r in one} == {1}
    with pytest.raises(
        UserError, match="evaluation.gallery.galleries=0 must be a positive whole number"
    ):
        Gallery(0)


def test_chance_is_known(context):
    found = {r.key.metric: r.mean for r in Gallery(12).references(context)}
    assert found == {"R@1": 1 / 6, "R@5": 5 / 6, "R@10": 1.0, "median rank": 3.5}


def test_what_is_found_is_shown(context, learner):
    shown = Gallery(12).examples(
        [Player(learner, embed_all(learner, context.samples["test"]))], context
    )
    assert json.loads(json.dumps(shown)) == shown and len(shown["galleries"]) == 2
    for one in shown["galleries"]:
        for row in one["rows"]:
            assert (row["query"] in row["retrieved"]) == (row["rank"] <= len(row["retrieved"]))
