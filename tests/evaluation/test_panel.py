from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmml.config.schema import EvalEpisodes
from mmml.data.base import Granularity
from mmml.episodes import EpisodeShape, Sampler
from mmml.evaluation.baselines import baselines
from mmml.evaluation.batching import few_threads
from mmml.evaluation.embed import embed_all
from mmml.evaluation.examples.classes import class_examples
from mmml.evaluation.panel import chance_panel, episode_panel, episode_settings
from mmml.evaluation.retrieval import gallery, rank, retrieval_panel, retrieval_setting
from mmml.evaluation.statistics import interval
from mmml.tasks import tasks
from mmml.tasks.gallery import RECALLS
from tests.conftest import MLP, make_learner

MODALITIES = {"image": Granularity.SAMPLE, "text": Granularity.CLASS}
CLASSIFICATION = tasks.build("classification", {}, "task")
MAPPINGS = ["image:image", "text:image", "image:text", "image+text:image"]


def columns(ways=(2, 4), shots=(1, 2), mappings=MAPPINGS):
    options = EvalEpisodes(ways=list(ways), shots=list(shots), queries=2, mappings=mappings)
    return episode_settings(options, MODALITIES, CLASSIFICATION)


def panel(learner, samples, seed=0, episodes=30, **shape):
    embedded = embed_all(learner, samples, ["image", "text"])
    return episode_panel(learner, embedded, Sampler(samples, seed, "test"), columns(**shape), episodes)


def test_every_mapping_has_the_columns_that_apply():
    found = {(str(m), c.shape.ways, c.shape.shots) for c in columns() for m in c.mappings}
    assert len(found) == 14
    assert ("text:image", 4, 2) not in found and ("image:text", 4, 2) in found


def test_a_mapping_of_names_alone_is_judged_once_whatever_the_shots():
    assert [c.shape.shots for c in columns(shots=[5], mappings=["text:image"])] == [5, 5]


def test_cells_are_means_of_their_episodes(samples, learner):
    got = panel(learner, samples)
    assert len(got.cells) == 14
    for cell, scores in zip(got.cells, got.scores, strict=True):
        assert cell.episodes == len(scores) == 30
        assert cell.mean == pytest.approx(scores.mean())
        assert 0 <= cell.mean <= 1 and cell.ci95 >= 0
        assert (cell.split, cell.predictor, cell.candidates) == ("test", "metric/prototype", None)


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
    whole = panel(learner, samples)
    monkeypatch.setattr("mmml.evaluation.batching.PAIRS", 100)
    monkeypatch.setattr("mmml.encoders.base.CHUNK", 3)
    for a, b in zip(whole.scores, panel(learner, samples).scores, strict=True):
        assert np.array_equal(a, b)


def test_judging_leaves_no_trace(samples, learner):
    learner.train()
    before = {k: v.clone() for k, v in learner.state_dict().items()}
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    panel(learner, samples)
    assert torch.equal(torch.rand(1), expected)
    assert learner.training
    assert all(torch.equal(v, before[k]) for k, v in learner.state_dict().items())


def test_evaluation_builds_no_graph(samples, learner):
    embedded = embed_all(learner, samples, ["image"])
    assert not embedded.columns["image"].values.requires_grad


def test_all_learners_meet_the_same_episodes(samples):
    a, b = make_learner(MLP), make_learner(MLP, classifier="nearest")
    one, other = panel(a, samples), panel(a, samples)
    assert all(np.array_equal(x, y) for x, y in zip(one.scores, other.scores, strict=True))
    # One shot: prototype and nearest are the same rule, so identical episodes give identical scores.
    for cell, x, y in zip(one.cells, one.scores, panel(b, samples).scores, strict=True):
        if cell.shots == 1:
            assert np.array_equal(x, y)


def test_a_learner_adapts_to_the_support_and_is_asked_the_queries(samples, learner, monkeypatch):
    adapt, met = learner.adapt, set()

    def watched(support, task=None):
        predict = adapt(support, task)
        return lambda query: met.add((support.per_class, query.per_class)) or predict(query)

    monkeypatch.setattr(learner, "adapt", watched)
    got = panel(learner, samples, episodes=2, shots=[1, 3], mappings=["image:image"])
    assert met == {(1, 2), (3, 2)}
    assert [(c.ways, c.shots, c.answers) for c in got.cells] == [(2, 1, 4), (2, 3, 4), (4, 1, 8), (4, 3, 8)]


def test_every_cell_says_whether_queries_may_see_one_another(samples, learner):
    assert {c.transductive for c in panel(learner, samples, episodes=2).cells} == {False}
    learner.transductive = True
    assert {c.transductive for c in panel(learner, samples, episodes=2).cells} == {True}
    setting = retrieval_setting(samples, columns()[0].mappings)
    assert {c.transductive for c in retrieve(learner, samples, setting).cells} == {True}


def test_an_untrained_learner_on_noise_is_at_chance(samples):
    got = panel(make_learner(MLP), samples, episodes=400, ways=[4], shots=[1], mappings=["text:image"])
    assert abs(got.cells[0].mean - 0.25) < 0.06


def test_chance_is_exact():
    cells = chance_panel(SimpleNamespace(split="test"), columns(), 0).cells
    assert {(c.ways, c.mean, c.ci95) for c in cells} == {(2, 0.5, 0.0), (4, 0.25, 0.0)}


def test_raw_pixels_find_a_copy():
    from mmml.data.base import Samples
    from mmml.data.column import Column

    images = torch.randint(0, 256, (5, 1, 8, 8)).expand(5, 6, 8, 8).reshape(30, 8, 8).to(torch.uint8)
    copies = Samples([str(i) for i in range(5)], np.arange(6) * 6, {"image": Column(images)})
    learners = baselines.get("raw/nearest", "")(MODALITIES, CLASSIFICATION)
    assert all(raw.predictor_name == "raw/nearest" and raw.baseline for raw in learners)
    (learner,) = [raw for raw in learners if set(raw.embedder.encoders) == {"image"}]
    got = episode_panel(
        learner, embed_all(learner, copies, ["image"]), Sampler(copies, 0, "test"), columns(mappings=MAPPINGS), 10
    )
    assert {c.mapping for c in got.cells} == {"image:image"}
    assert all(c.mean == 1.0 for c in got.cells)


def retrieve(learner, samples, setting):
    return retrieval_panel(learner, embed_all(learner, samples, ["image", "text"]), "test", setting)


class TestRetrieval:
    def test_only_pairs_of_different_modalities(self, samples):
        mappings = [m for c in columns() for m in c.mappings]
        column = retrieval_setting(samples, dict.fromkeys(mappings))
        assert [str(m) for m in column.mappings] == ["text:image", "image:text"]

    def test_galleries_show_every_class_once_and_another_sample_each(self, samples):
        shown = np.concatenate([gallery(samples, g).support for g in range(4)])
        assert shown.shape == (4, 6, 1)
        assert (samples.labels[shown[..., 0]] == np.arange(6)).all()
        assert len(set(shown.ravel().tolist())) == 24

    def test_a_perfect_space_ranks_first(self, samples):
        learner = make_learner(MLP)
        eye = torch.eye(6)
        encode = {
            "image": lambda raw: eye[torch.from_numpy(samples.labels[: len(raw)])],
            "text": lambda raw: torch.stack([eye[int(t.split()[1].split(".")[0])] for t in raw]),
        }
        learner.embedder.encode = lambda modality, column: encode[modality](column.values)
        column = retrieval_setting(samples, [m for c in columns() for m in c.mappings][:3])
        scores = {(c.mapping, c.metric): c.mean for c in retrieve(learner, samples, column).cells}
        assert scores["text:image", "R@1"] == 1.0 and scores["text:image", "median rank"] == 1.0

    def test_the_interval_is_over_queries(self, samples, learner):
        column = retrieval_setting(samples, columns()[0].mappings)
        cells = retrieve(learner, samples, column).cells
        learned, setting = embed_all(learner, samples, ["image", "text"]), column
        mapping = setting.mappings[0]
        hits = [setting.task.scores(*rank(learner, learned, mapping, g))[RECALLS[1]] for g in range(4)]
        expected = interval(torch.cat(hits).mean(0).double().numpy(), 1)  # six queries, not four galleries
        (cell,) = [c for c in cells if c.metric == "R@1" and c.mapping == str(mapping)]
        assert (cell.mean, cell.ci95) == (pytest.approx(expected[0]), pytest.approx(expected[1]))
        assert {c.episodes for c in cells} == {4} and {c.candidates for c in cells} == {6}
        assert all(c.ci95 is None for c in cells if c.metric == "median rank")

    def test_the_scores_behind_a_cell_average_to_it(self, samples, learner):
        column = retrieval_setting(samples, columns()[0].mappings)
        panel = retrieve(learner, samples, column)
        for cell, scores in zip(panel.cells, panel.scores, strict=True):
            assert cell.mean == pytest.approx(scores.mean())


def test_examples_are_plain_and_consistent(samples, learner):
    import json

    column = retrieval_setting(samples, columns()[0].mappings)
    embedded = embed_all(learner, samples, ["image", "text"])
    got = class_examples(learner, samples, embedded, Sampler(samples, 0, "test"), columns(), column)
    assert json.loads(json.dumps(got)) == got
    assert [i["label"] for i in got["items"]] == samples.classes
    assert all(i["image"].startswith("data:image/png;base64,") for i in got["items"])
    confusions = got["confusions"]
    assert (confusions["ways"], confusions["shots"]) == (4, 1)
    assert sum(p["count"] for p in confusions["pairs"]) == confusions["wrong"]
    for shown in got["galleries"]:
        for row in shown["rows"]:
            assert (row["query"] in row["retrieved"]) == (row["rank"] <= len(row["retrieved"]))
    assert len(got["map"]["points"]["image"]) == len(got["map"]["classes"]) == 6


def test_a_collapsed_space_has_no_map_and_costs_nothing_else(samples, learner):
    learner.embedder.encode = lambda modality, raw: torch.ones(len(raw), 16)
    embedded = embed_all(learner, samples, ["image", "text"])
    setting = retrieval_setting(samples, columns()[0].mappings)
    got = class_examples(learner, samples, embedded, Sampler(samples, 0, "test"), columns(), setting)
    assert got["map"]["modalities"] == [] and got["confusions"]["wrong"] > 0
