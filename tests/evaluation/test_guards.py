import pytest
import torch
from torch import nn

from mmml.episodes import Mapping, Sampler, Shape
from mmml.episodes.corrupt import build_corruptions
from mmml.errors import GuardError
from mmml.evaluation.embed import embed_all
from mmml.evaluation.guards import check_independence
from tests.conftest import MLP, SMALL, make_learner

MAPPINGS = [Mapping.parse(m) for m in ("image:image", "text:image", "image:text", "image+text:image")]


def check(learner, samples, views=1):
    learner.eval()
    embedded = embed_all(learner, samples, ["image", "text"], views)
    check_independence(learner, samples, embedded, Sampler(samples, 0, "test"), Shape(4, 2, 2), MAPPINGS, views)


@pytest.mark.parametrize("encoder", [SMALL, MLP], ids=["small", "mlp"])
@pytest.mark.parametrize("rule", ["prototype", "nearest", "ridge", "attention"])
def test_every_encoder_and_rule_passes(samples, encoder, rule):
    check(make_learner(encoder, rule=rule), samples)


def test_queries_that_repeat_another_modality_pass(samples):
    learner = make_learner().eval()
    embedded = embed_all(learner, samples, ["image", "text"])
    section = {"name": "duplicated", "modality": "text", "of": "image", "amount": 0.5, "side": "query"}
    sampler = Sampler(samples, 0, "test", corrupt=build_corruptions([section], "episode.eval.corrupt"))
    mappings = [Mapping.parse("image:image+text")]
    check_independence(learner, samples, embedded, sampler, Shape(4, 2, 2), mappings)


def test_several_views_pass(samples):
    check(make_learner(SMALL), samples, views=3)


def test_batch_statistics_at_evaluation_are_caught(samples):
    learner = make_learner(SMALL)
    for module in learner.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
    with pytest.raises(GuardError, match="the encoder of image embeds a sample differently among others than alone"):
        check(learner, samples)


def test_predictions_normalised_over_queries_are_caught(samples):
    learner = make_learner(MLP)
    adapt = learner.adapt

    def leaky(support, task=None):
        predict = adapt(support, task)
        return lambda query: (predict(query) - predict(query).mean(1, keepdim=True)).log_softmax(-1)

    learner.adapt = leaky
    with pytest.raises(GuardError, match="metric/prototype on image:image: predictions change when the queries are"):
        check(learner, samples)


def test_a_transductive_learner_says_so_and_is_let_through(samples):
    learner = make_learner(MLP)
    learner.transductive = True
    learner.adapt = lambda support: lambda query: torch.randn(1, 8, 4)
    check(learner, samples)
