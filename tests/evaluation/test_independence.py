import pytest
import torch
from torch import nn

from mmml.episodes import EpisodeShape, Mapping, Sampler
from mmml.episodes.corruptions import build_corruptions
from mmml.errors import IndependenceError
from mmml.evaluation.embed import embed_all
from mmml.evaluation.independence import check_independence
from tests.conftest import MLP, SMALL, make_learner
from tests.evaluation.making import context_of, measure, settings_of
from tests.methods.learned_optimizer.making import make

MAPPINGS = [
    Mapping.parse(m) for m in ("image:image", "text:image", "image:text", "image+text:image")
]


def check(learner, samples, views=1):
    learner.eval()
    embedded = embed_all(learner, samples, ["image", "text"], views)
    check_independence(
        learner,
        samples,
        embedded,
        Sampler(samples, 0, "test"),
        EpisodeShape(4, 2, 2),
        MAPPINGS,
        views,
    )


@pytest.mark.parametrize("encoder", [SMALL, MLP], ids=["small", "mlp"])
@pytest.mark.parametrize("classifier", ["prototype", "nearest", "ridge", "attention"])
def test_every_encoder_and_rule_passes(samples, encoder, classifier):
    check(make_learner(encoder, classifier=classifier), samples)


def test_queries_that_repeat_another_modality_pass(samples):
    learner = make_learner().eval()
    embedded = embed_all(learner, samples, ["image", "text"])
    section = {
        "name": "redundant",
        "modality": "text",
        "of": "image",
        "amount": 0.5,
        "side": "query",
    }
    sampler = Sampler(
        samples, 0, "test", corruptions=build_corruptions([section], "episode.eval.corruptions")
    )
    mappings = [Mapping.parse("image:image+text")]
    check_independence(learner, samples, embedded, sampler, EpisodeShape(4, 2, 2), mappings)


def test_several_views_pass(samples):
    check(make_learner(SMALL), samples, views=3)


def test_batch_statistics_at_evaluation_are_caught(samples):
    learner = make_learner(SMALL)
    for module in learner.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
    with pytest.raises(
        IndependenceError,
        match="the encoder of image embeds a sample differently among others than alone",
    ):
        check(learner, samples)


def leaky(learner):
    """The same learner, which normalises its predictions over the queries of an episode."""
    adapt = learner.adapt

    def adapted(support, task=None):
        predict = adapt(support, task)
        return lambda query: (predict(query) - predict(query).mean(1, keepdim=True)).log_softmax(-1)

    learner.adapt = adapted
    return learner


@pytest.mark.parametrize("classifier", ["metric/prototype", "learned_optimizer/sgd"])
def test_predictions_normalised_over_queries_are_caught(samples, classifier):
    learner = (
        make_learner(MLP) if classifier == "metric/prototype" else make(update_rule="sgd", ways=4)
    )
    check(learner, samples)
    with pytest.raises(
        IndependenceError,
        match=f"{classifier} on image:image: predictions change when the queries are",
    ):
        check(leaky(learner), samples)


def test_predictions_that_depend_on_the_order_of_queries_are_caught(samples):
    learner = make_learner(MLP)
    adapt = learner.adapt

    def ordered(support, task=None):
        """Every second query is answered otherwise, wherever it is asked."""
        predict = adapt(support, task)
        return lambda query: predict(query) * (1 + torch.arange(query.per_class) % 2).view(1, -1, 1)

    learner.adapt = ordered
    with pytest.raises(IndependenceError, match="predictions change when the queries are permuted"):
        check(learner, samples)


@pytest.mark.parametrize("mapping", MAPPINGS, ids=str)
def test_every_mapping_is_tried(samples, mapping):
    learner, honest = leaky(make_learner(MLP)), make_learner(MLP)
    adapt, shown = learner.adapt, set(mapping.support)

    def adapted(support, task=None):
        return (adapt if set(support.values) == shown else honest.adapt)(support, task)

    learner.adapt = adapted
    with pytest.raises(IndependenceError, match="predictions change when the queries are"):
        check(learner, samples)


def test_predictions_that_move_a_little_are_caught(samples):
    learner = make_learner(MLP)
    adapt = learner.adapt

    def swayed(support, task=None):
        predict = adapt(support, task)
        return lambda query: (
            predict(query) + 0.001 * torch.eye(4)[0] * query.per_class
        ).log_softmax(-1)

    learner.adapt = swayed
    with pytest.raises(
        IndependenceError, match="predictions change when the queries are predicted one at a time"
    ):
        check(learner, samples)


@pytest.mark.parametrize(
    "made", [lambda: make_learner(MLP), lambda: make(update_rule="sgd", ways=4)]
)
def test_evaluation_checks_it_where_it_is_asked_to(samples, made):
    settings = settings_of(ways=[4], shots=[1], mappings=["image:image"])
    few = {"episodes": 2, "validation_episodes": 2}
    assert len(measure(context_of(samples, settings, **few), leaky(made())))
    with pytest.raises(IndependenceError, match="predictions change when the queries are"):
        measure(context_of(samples, settings, **few, independence_check=True), leaky(made()))


def test_a_transductive_learner_says_so_and_is_let_through(samples):
    learner = make_learner(MLP)
    learner.transductive = True
    learner.adapt = lambda support: lambda query: torch.randn(1, 8, 4)
    check(learner, samples)
