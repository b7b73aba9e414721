"""The closed-form classifiers, against scikit-learn and by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from mmml.config.compose import options_of
from mmml.encoders import build_embedder
from mmml.episodes import EpisodeShape, Mapping, Sampler, gather
from mmml.errors import UserError
from mmml.methods.metric import MetricLearner
from mmml.methods.metric.classifiers import classifiers
from mmml.methods.metric.classifiers.logistic import fit_logistic
from mmml.similarity import distances
from mmml.tasks import tasks
from tests.conftest import LOSSES, SMALL
from tests.methods.test_classifier_ridge import UNEQUAL, episode

EQUAL = [0, 0, 0, 1, 1, 1, 2, 2, 2]
WHERE = "method.classifier"
CLASSIFICATION = tasks.build("classification", {}, "task")


def build(name, **options):
    """A classifier with the options of its YAML file, and some others."""
    return classifiers.build_section(options_of("method/classifier", name) | options, WHERE)


def by_class(name, support, labels, query, *anchors, distance="euclidean", temperature=1.0, **opts):
    """The log-probability of each class, ``[q, ways]``."""
    part = build(name, **opts)
    weights = part(
        distances.get(distance, ""), support, labels, query, torch.tensor(temperature), *anchors
    )
    assert torch.allclose(weights.logsumexp(-1), torch.zeros(()), atol=1e-5)
    return CLASSIFICATION.aggregate(weights, labels)[0]


@pytest.mark.parametrize("width", [2, 30], ids=["narrow", "wide"])
@pytest.mark.parametrize("shrinkage", [0.2, 1.0])
def test_lda_agrees_with_scikit_learn(width, shrinkage):
    support, labels, query = episode(EQUAL, width)
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)
    model.fit(support[0].double().numpy(), labels[0].numpy())
    expected = torch.from_numpy(model.predict_log_proba(query[0].double().numpy())).float()
    found = by_class("lda", support, labels, query, shrinkage=shrinkage)
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_lda_shrinks_by_default_as_published():
    support, labels, query = episode(UNEQUAL, width=4)
    published = by_class("lda", support, labels, query, shrinkage=4 / (len(UNEQUAL) - 1 + 4))
    assert torch.allclose(by_class("lda", support, labels, query), published)


def test_lda_of_one_shot_takes_the_nearest_mean():
    support, labels, query = episode([0, 1, 2], width=5)
    nearest = torch.cdist(query, support)[0].argmin(-1)
    assert torch.equal(by_class("lda", support, labels, query).argmax(-1), nearest)


@pytest.mark.parametrize("value", [1e-12, 1e12])
def test_lda_knows_no_units(value):
    support, labels, query = episode(UNEQUAL)
    found = by_class("lda", support * value, labels, query * value)
    assert torch.allclose(found, by_class("lda", support, labels, query), atol=1e-3)


@pytest.mark.parametrize("labels", [EQUAL, UNEQUAL, [0, 1, 2]], ids=["equal", "unequal", "one"])
@pytest.mark.parametrize("c", [0.1, 1.0, 100.0])
@pytest.mark.parametrize("width", [2, 30], ids=["narrow", "wide"])
def test_logistic_finds_the_optimum_of_scikit_learn(labels, c, width):
    support, labels, _ = episode(labels, width)
    x, y = support[0].double(), labels[0]
    model = LogisticRegression(C=c, tol=1e-10, max_iter=10_000).fit(x.numpy(), y.numpy())

    def objective(weight, intercept):
        likelihood = (x @ weight + intercept).log_softmax(-1).gather(-1, y.unsqueeze(-1)).sum()
        return float(-c * likelihood + weight.square().sum() / 2)

    weight, intercept = fit_logistic(support, F.one_hot(labels), c)
    found = objective(weight[0].double(), intercept[0].double())
    best = objective(torch.from_numpy(model.coef_.T), torch.from_numpy(model.intercept_))
    assert found <= best + 1e-4 * c


def test_logistic_gives_the_probabilities_of_scikit_learn():
    support, labels, query = episode(UNEQUAL)
    model = LogisticRegression(tol=1e-10, max_iter=10_000)
    unit = F.normalize(support[0], dim=-1).double().numpy()
    model.fit(unit, labels[0].numpy())
    expected = model.predict_log_proba(F.normalize(query[0], dim=-1).double().numpy())
    found = by_class("logistic", support, labels, query, distance="cosine")
    assert np.allclose(found.numpy(), expected, atol=1e-4)


ANCHORS = torch.eye(3).unsqueeze(0)
LABELS = torch.tensor([[0, 1, 2]])


def test_zero_shot_looks_at_the_anchors_alone():
    query = torch.tensor([[[1.0, 0, 0], [0, 0, 2.0]]])
    given = (query, ANCHORS)
    found = by_class(
        "zero_shot", torch.randn(1, 3, 3), LABELS, *given, distance="cosine", temperature=0.5
    )
    expected = torch.tensor([[2.0, 0, 0], [0, 0, 2.0]]).log_softmax(-1)
    assert torch.allclose(found, expected, atol=1e-6)


def test_tip_adapter_adds_affinities_to_the_logits_of_the_anchors():
    """Equation 6 of Zhang et al. (2022), by hand: two classes, cosines of 0.6 and 0."""
    support = torch.tensor([[[0.6, 0.8], [0.0, 1.0]]])
    query, anchors = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 1.0], [0.8, 0.6]]])
    labels = torch.tensor([[0, 1]])
    found = by_class(
        "tip_adapter", support, labels, query, anchors,
        distance="cosine", temperature=0.01, alpha=2.0, beta=5.5,
    )  # fmt: skip
    logits = [
        100 * 0.0 + 2 * np.exp(-5.5 * (1 - 0.6)),
        100 * 0.8 + 2 * np.exp(-5.5 * (1 - 0.0)),
    ]
    assert torch.allclose(found, torch.tensor([logits]).log_softmax(-1).float(), atol=1e-4)


def test_proker_of_one_shot_moves_the_prior_by_the_kernel():
    """One item a class has λ = 1: f = p + k (K + I)⁻¹ (Y − p)."""
    support, labels, query = episode([0, 1, 2], width=3)
    anchors = ANCHORS + 0.1
    found = by_class("proker", support, labels, query, anchors, distance="cosine", beta=2.0)
    unit = [F.normalize(x[0], dim=-1).double() for x in (query, support, anchors)]
    q, s, a = unit
    prior, own = ((x @ a.T).softmax(-1) for x in (q, s))
    kernel, across = ((-2 * (1 - x @ s.T)).exp() for x in (s, q))
    scores = prior + across @ torch.linalg.solve(
        kernel + torch.eye(3).double(), torch.eye(3).double() - own
    )
    assert torch.allclose(found, scores.log_softmax(-1).float(), atol=1e-5)


def test_proker_with_a_kernel_of_nothing_is_zero_shot():
    support, labels, query = episode(UNEQUAL, width=3)
    prior = by_class("zero_shot", support, labels, query, ANCHORS)
    found = by_class("proker", support + 100, labels, query, ANCHORS, beta=50.0)
    assert torch.allclose(found, prior.exp().log_softmax(-1), atol=1e-4)


def test_auto_follows_the_classifier_that_predicts_what_is_held_out():
    """Anchors that contradict the items lose; anchors that agree with noisy items win."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([[0, 0, 0, 1, 1, 1, 2, 2, 2]])
    centres = torch.eye(3)
    exact = centres[labels] + 0.01 * torch.randn(1, 9, 3, generator=generator)
    query = centres.unsqueeze(0)
    wrong = centres.roll(1, 0).unsqueeze(0)
    options = {"among": [{"name": "zero_shot"}, {"name": "prototype"}]}
    found = by_class("auto", exact, labels, query, wrong, temperature=0.1, **options)
    assert torch.equal(found.argmax(-1), torch.arange(3))
    noise = torch.randn(1, 9, 3, generator=generator)
    noise[..., 0] = 0  # tells nothing of the class
    found = by_class("auto", noise, labels, query, centres.unsqueeze(0), **options)
    names = by_class("zero_shot", noise, labels, query, centres.unsqueeze(0))
    assert torch.equal(found.argmax(-1), names.argmax(-1))


def test_auto_never_looks_at_queries():
    support, labels, query = episode(UNEQUAL)
    together = by_class("auto", support, labels, query, None)
    alone = torch.cat(
        [by_class("auto", support, labels, query[:, i : i + 1], None) for i in range(6)]
    )
    assert torch.allclose(together, alone, atol=1e-5)


def test_auto_of_one_shot_is_the_first_that_can_be_used():
    support, labels, query = episode([0, 1, 2], width=3)
    options = {"among": [{"name": n} for n in ("zero_shot", "ridge", "nearest")]}
    found = by_class("auto", support, labels, query, None, **options)
    assert torch.equal(found, by_class("ridge", support, labels, query))
    found = by_class("auto", support, labels, query, ANCHORS, **options)
    assert torch.equal(found, by_class("zero_shot", support, labels, query, ANCHORS))


def test_auto_of_several_episodes_is_each_alone():
    """Also where classes have different sizes."""
    episodes = [episode(labels, seed=i) for i, labels in enumerate((UNEQUAL, UNEQUAL[::-1]))]
    support, labels, query = (torch.cat(parts) for parts in zip(*episodes, strict=True))
    part = build("auto")
    given = (distances.get("cosine", ""), support, labels, query, torch.ones(()))
    together = part(*given, None)
    for i in range(2):
        one = [t[i : i + 1] if t.ndim else t for t in given[1:]]
        assert torch.allclose(together[i : i + 1], part(given[0], *one, None), atol=1e-5)


@pytest.mark.parametrize(
    "name, option, value",
    [
        ("lda", "shrinkage", 0.0),
        ("lda", "shrinkage", 1.5),
        ("logistic", "c", 0.0),
        ("tip_adapter", "alpha", -1.0),
        ("tip_adapter", "beta", 0.0),
        ("proker", "beta", -1.0),
        ("auto", "folds", 1),
        ("auto", "among", []),
        ("auto", "among", [{"name": "zero_shot"}]),
    ],
)
def test_options_out_of_range_are_refused(name, option, value):
    with pytest.raises(UserError, match=rf"method\.classifier\.{option}"):
        build(name, **{option: value})


def test_an_unknown_option_of_one_of_several_classifiers_is_named():
    with pytest.raises(UserError, match=r"method\.classifier\.among\.1\.shrinkag"):
        build("auto", among=[{"name": "ridge"}, {"name": "lda", "shrinkag": 0.5}])


def learner_of(name):
    part = options_of("method/classifier", name)
    loss = {"name": "infonce"} | LOSSES["infonce"]
    embedder = build_embedder(SMALL, ["image", "text"])
    return MetricLearner(embedder, CLASSIFICATION, {"name": "cosine"}, loss, part)


def test_mappings_without_names_are_refused_where_names_are_needed(samples):
    named, unnamed = Mapping.parse("image+text:image"), Mapping.parse("image:image")
    learner = learner_of("zero_shot")
    learner.check_mappings([named])
    message = "zero_shot needs text in the support set, which has image: choose another mapping"
    with pytest.raises(UserError, match=message):
        learner.check_mappings([named, unnamed])
    drawn = Sampler(samples, 0, "test").draw([0], EpisodeShape(3, 2, 1))
    support, _ = gather(samples, drawn, [unnamed]).view(unnamed)
    with pytest.raises(UserError, match=message):
        learner.adapt(support)
    learner_of("auto").check_mappings([named, unnamed])


def test_anchors_are_the_mean_names_of_the_classes(samples):
    """Classes have one or two names; the images beside them are the support items."""
    mapping = Mapping.parse("image+text:image")
    learner = learner_of("zero_shot").eval()
    drawn = Sampler(samples, 0, "test").draw([0, 1], EpisodeShape(3, 2, 1))
    support, query = gather(samples, drawn, [mapping]).view(mapping)
    named, _ = gather(samples, drawn, [Mapping.parse("text:image")]).view(
        Mapping.parse("text:image")
    )
    with torch.no_grad():
        found = learner.adapt(support)(query)
        by_names = learner_of_prototypes(learner).adapt(named)(query)
    assert torch.allclose(found, by_names, atol=1e-5)


def learner_of_prototypes(learner):
    """The same encoders and loss, with the classifier that takes the nearest mean."""
    other = learner_of("prototype").eval()
    other.load_state_dict(learner.state_dict())
    return other
