from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmml.episodes import EpisodeShape, Sampler
from mmml.evaluation.baselines import baselines
from mmml.evaluation.batching import few_threads
from mmml.evaluation.embed import embed_all
from mmml.evaluation.evaluator import Player
from mmml.evaluation.evaluators.gallery import Gallery
from mmml.evaluation.examples.classes import class_examples
from mmml.evaluation.predictions import chance_results, episode_results
from tests.conftest import MLP, make_learner
from tests.evaluation.making import CLASSIFICATION, MODALITIES, context_of, settings_of

MAPPINGS = ["image:image", "text:image", "image:text", "image+text:image"]


def columns(ways=(2, 4), shots=(1, 2), mappings=MAPPINGS):
    return settings_of(ways=list(ways), shots=list(shots), mappings=mappings)


def results_of(learner, samples, seed=0, episodes=30, **shape):
    embedded = embed_all(learner, samples, ["image", "text"])
    return episode_results(
        learner, embedded, Sampler(samples, seed, "test"), columns(**shape), episodes
    )


def test_every_mapping_has_the_columns_that_apply():
    found = {(str(m), c.shape.ways, c.shape.shots) for c in columns() for m in c.mappings}
    assert len(found) == 14
    assert ("text:image", 4, 2) not in found and ("image:text", 4, 2) in found


def test_a_mapping_of_names_alone_is_played_once_whatever_the_shots():
    assert [c.shape.shots for c in columns(shots=[5], mappings=["text:image"])] == [5, 5]


def test_rows_are_means_of_their_episodes(samples, learner):
    got = results_of(learner, samples)
    assert len(got) == 14
    for row in got:
        assert row.n == len(row.scores) == 30
        assert row.mean == pytest.approx(row.scores.mean())
        assert 0 <= row.mean <= 1 and row.ci95 >= 0
        assert (row.key.split, row.key.predictor, row.key.candidates) == (
            "test",
            "metric/prototype",
            None,
        )


def test_small_episodes_of_embeddings_take_one_thread_and_give_the_others_back(samples, learner):
    embedded, before = embed_all(learner, samples, ["image"]), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for shape, values, threads in (
            (EpisodeShape(5, 5, 15), embedded, 1),
            (EpisodeShape(200, 5, 5), embedded, 2),
            (EpisodeShape(5, 5, 15), samples, 2),
        ):
            with few_threads(shape, values, learner):
                assert torch.get_num_threads() == threads
            assert torch.get_num_threads() == 2
        with pytest.raises(RuntimeError), few_threads(EpisodeShape(5, 1, 1), embedded, learner):
            raise RuntimeError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_chunking_changes_nothing(samples, learner, monkeypatch):
    full = results_of(learner, samples)
    monkeypatch.setattr("mmml.evaluation.batching.PAIRS", 100)
    monkeypatch.setattr("mmml.encoders.base.CHUNK", 3)
    assert full.same_as(results_of(learner, samples))


def test_playing_leaves_no_trace(samples, learner):
    learner.train()
    before = {k: v.clone() for k, v in learner.state_dict().items()}
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    results_of(learner, samples)
    assert torch.equal(torch.rand(1), expected)
    assert learner.training
    assert all(torch.equal(v, before[k]) for k, v in learner.state_dict().items())


def test_evaluation_builds_no_graph(samples, learner):
    embedded = embed_all(learner, samples, ["image"])
    assert not embedded.columns["image"].values.requires_grad


def test_all_learners_meet_the_same_episodes(samples):
    a, b = make_learner(MLP), make_learner(MLP, classifier="nearest")
    one, other = results_of(a, samples), results_of(a, samples)
    assert one.same_as(other)
    # One shot: prototype and nearest are the same rule, so identical episodes give
    # identical scores.
    for x, y in zip(one, results_of(b, samples), strict=True):
        if x.key.shots == 1:
            assert np.array_equal(x.scores, y.scores)


def test_a_learner_adapts_to_the_support_and_is_asked_the_queries(samples, learner, monkeypatch):
    adapt, met = learner.adapt, set()

    def watched(support, task=None):
        predict = adapt(support, task)
        return lambda query: met.add((support.per_class, query.per_class)) or predict(query)

    monkeypatch.setattr(learner, "adapt", watched)
    got = results_of(learner, samples, episodes=2, shots=[1, 3], mappings=["image:image"])
    assert met == {(1, 2), (3, 2)}
    assert [(c.key.ways, c.key.shots, c.answers) for c in got] == [
        (2, 1, 4),
        (2, 3, 4),
        (4, 1, 8),
        (4, 3, 8),
    ]


def test_every_row_says_whether_queries_may_see_one_another(samples, learner):
    assert {c.transductive for c in results_of(learner, samples, episodes=2)} == {False}
    learner.transductive = True
    assert {c.transductive for c in results_of(learner, samples, episodes=2)} == {True}
    galleries = Gallery(12).run(
        Player(learner, embed_all(learner, samples)), context_of(samples, columns())
    )
    assert {r.transductive for r in galleries} == {True}


def test_an_untrained_learner_on_noise_is_at_chance(samples):
    got = results_of(
        make_learner(MLP), samples, episodes=400, ways=[4], shots=[1], mappings=["text:image"]
    )
    assert abs(got.rows[0].mean - 0.25) < 0.06


def test_chance_is_exact():
    cells = chance_results(SimpleNamespace(split="test"), columns(), 0)
    assert {(c.key.ways, c.mean, c.ci95) for c in cells} == {(2, 0.5, 0.0), (4, 0.25, 0.0)}


def test_raw_pixels_find_a_copy():
    from mmml.data.base import Samples
    from mmml.data.column import Column

    images = (
        torch.randint(0, 256, (5, 1, 8, 8)).expand(5, 6, 8, 8).reshape(30, 8, 8).to(torch.uint8)
    )
    copies = Samples([str(i) for i in range(5)], np.arange(6) * 6, {"image": Column(images)})
    learners = baselines.get("raw/nearest", "")(MODALITIES, CLASSIFICATION)
    assert all(raw.predictor_name == "raw/nearest" and raw.baseline for raw in learners)
    (learner,) = [raw for raw in learners if set(raw.embedder.encoders) == {"image"}]
    got = episode_results(
        learner,
        embed_all(learner, copies, ["image"]),
        Sampler(copies, 0, "test"),
        columns(mappings=MAPPINGS),
        10,
    )
    assert {c.key.mapping for c in got} == {"image:image"}
    assert all(c.mean == 1.0 for c in got)


def test_examples_are_plain_and_consistent(samples, learner):
    import json

    embedded = embed_all(learner, samples, ["image", "text"])
    got = class_examples(learner, samples, embedded, Sampler(samples, 0, "test"), columns())
    assert json.loads(json.dumps(got)) == got
    assert [i["label"] for i in got["items"]] == samples.classes
    assert all(i["image"].startswith("data:image/png;base64,") for i in got["items"])
    confusions = got["confusions"]
    assert (confusions["ways"], confusions["shots"]) == (4, 1)
    assert sum(p["count"] for p in confusions["pairs"]) == confusions["wrong"]
    assert len(got["map"]["points"]["image"]) == len(got["map"]["classes"]) == 6


def test_a_collapsed_space_has_no_map_and_costs_nothing_else(samples, learner):
    learner.embedder.encode = lambda modality, raw: torch.ones(len(raw), 16)
    embedded = embed_all(learner, samples, ["image", "text"])
    got = class_examples(learner, samples, embedded, Sampler(samples, 0, "test"), columns())
    assert got["map"]["modalities"] == [] and got["confusions"]["wrong"] > 0
