from dataclasses import replace

import pytest
import torch

from mmml.data.column import Column
from mmml.encoders.embedder import build_embedder
from mmml.episodes import EpisodeShape, ExampleSet, Mapping, Sampler, gather
from mmml.errors import UserError
from mmml.methods.metric import classifiers
from mmml.methods.metric.learner import as_items
from mmml.similarity import distances
from mmml.tasks import tasks
from tests.conftest import MLP, SMALL, make_learner, metric_learner, scored_examples

MAPPINGS = [
    Mapping.parse(m) for m in ("image:image", "text:image", "image:text", "image+text:image")
]
RULES = ["prototype", "nearest", "ridge", "attention"]
SUPPORT = torch.tensor([[[0.0, 0.0], [2.0, 0.0], [5.0, 0.0], [9.0, 0.0]]])
SLOTS = torch.tensor([[0, 0, 1, 1]])
QUERY = torch.tensor([[[2.9, 0.0], [4.5, 0.0]]])


def weights(classifier, labels=SLOTS, support=SUPPORT, query=QUERY, temperature=1.0):
    distance = distances.get("euclidean", "")
    return classifiers.get(classifier, "")(
        distance, support, labels, query, torch.tensor(temperature)
    )


@pytest.mark.parametrize("classifier", RULES)
def test_weights_sum_to_one(classifier):
    assert torch.allclose(weights(classifier).exp().sum(-1), torch.ones(1, 2))


def test_prototype_compares_with_class_means():
    # distances to the means 1 and 7: 1.9 and 4.1; 3.5 and 2.5
    expected = torch.tensor([[[-1.9, -4.1], [-3.5, -2.5]]]).softmax(-1)
    assert torch.allclose(
        weights("prototype").exp(), expected.repeat_interleave(2, -1) / 2, atol=1e-5
    )


@pytest.mark.parametrize("classifier", ["prototype", "nearest", "attention"])
def test_temperature_divides_distances_once(classifier):
    support = torch.tensor([[[0.0], [3.0]]])
    query = torch.tensor([[[1.0]]])
    labels = torch.tensor([[0, 1]])
    squared = distances.get("sqeuclidean", "")
    got = classifiers.get(classifier, "")(squared, support, labels, query, torch.tensor(2.0)).exp()
    assert got[0, 0].tolist() == pytest.approx([0.8176, 0.1824], abs=1e-4)  # of −1/2 and −4/2


def test_nearest_follows_the_nearest_neighbour():
    # nearest of class 0 is at 2, of class 1 at 5
    expected = torch.tensor([[[-0.9, -2.1], [-2.5, -0.5]]]).softmax(-1)
    got = weights("nearest").exp()
    assert torch.allclose(got[..., [1, 2]], expected, atol=1e-5)
    assert got[..., [0, 3]].abs().sum() == 0


def test_nearest_shares_among_ties():
    support = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [3.0, 0.0], [4.0, 0.0]]])
    got = weights("nearest", support=support, query=torch.tensor([[[2.0, 0.0]]])).exp()
    assert torch.allclose(got, torch.tensor([[[0.25, 0.25, 0.5, 0.0]]]))


def test_attention_is_a_softmax_over_all_items():
    expected = torch.tensor([[[-2.9, -0.9, -2.1, -6.1], [-4.5, -2.5, -0.5, -4.5]]]).softmax(-1)
    assert torch.allclose(weights("attention").exp(), expected, atol=1e-5)
    sharper = weights("attention", temperature=0.5)
    assert torch.allclose(sharper, (2 * expected.log()).log_softmax(-1), atol=1e-5)


def two_shots_and_a_name():
    """Two classes of two images each, and one name each, already embedded."""
    images = torch.tensor([[[[0.0, 0.0], [2.0, 0.0]], [[5.0, 0.0], [9.0, 0.0]]]])
    names = torch.tensor([[[[10.0, 0.0]], [[20.0, 0.0]]]])
    shapes = {"image": (1, 2, 2), "text": (1, 2, 1)}
    return ExampleSet(
        {"image": Column(images, encoded=True), "text": Column(names, encoded=True)}, shapes
    )


alone = build_embedder(MLP, ["image", "text"]).fuse


def test_names_stand_beside_the_images_as_shots_of_their_own():
    items, labels = as_items(two_shots_and_a_name(), alone)
    assert items[0, :, 0].tolist() == [0, 2, 5, 9, 10, 20]
    assert labels.tolist() == [[0, 0, 1, 1, 0, 1]]


def test_names_stand_beside_images_of_which_classes_have_different_numbers():
    images, names = torch.tensor([[[[0.0], [2.0], [5.0]]]]), torch.tensor([[[[10.0], [20.0]]]])
    labels = {"image": torch.tensor([[0, 0, 1]]), "text": torch.tensor([[0, 1]])}
    columns = {
        "image": Column(images[0, 0], encoded=True),
        "text": Column(names[0, 0], encoded=True),
    }
    examples = ExampleSet.of(columns, ragged_labels=labels)
    items, labels = as_items(examples, alone)
    assert items[0, :, 0].tolist() == [0, 2, 5, 10, 20] and labels.tolist() == [[0, 0, 1, 0, 1]]


def test_only_attention_tells_modalities_apart():
    query = ExampleSet.of({"image": Column(torch.tensor([[11.0, 0.0]]), encoded=True)})
    # Fused with its name, class 0 is at 5 and 6, class 1 at 12.5 and 14.5; apart, the name
    # of class 0 is at 10.
    guesses = {
        classifier: make_learner(MLP, classifier=classifier, distance="euclidean")
        .adapt(two_shots_and_a_name())(query)
        .argmax()
        .item()
        for classifier in RULES
    }
    assert guesses == {"prototype": 1, "nearest": 1, "ridge": 1, "attention": 0}


def test_the_loss_of_attention_contrasts_with_names_too(samples):
    drawn = Sampler(samples, 0, "train").draw([0], EpisodeShape(4, 2, 2))
    fused, inductive = make_learner(MLP), make_learner(MLP, classifier="attention")
    alone, both = (gather(samples, drawn, [m]) for m in (MAPPINGS[0], MAPPINGS[3]))
    assert torch.equal(fused.loss(alone), inductive.loss(alone))
    assert not torch.isclose(fused.loss(both), inductive.loss(both))


def test_scores_are_predicted_from_whole_samples():
    shown = two_shots_and_a_name()
    scored = scored_examples(
        shown.columns, {"image": shown.shapes["image"]}, [[1.0, 2.0, 3.0, 4.0]]
    )
    support = replace(shown, answers=scored.answers)
    query = ExampleSet.of({"image": Column(torch.tensor([[12.5, 0.0]]), encoded=True)})
    learner = make_learner(MLP, classifier="attention", distance="euclidean")
    predicted = learner.adapt(support, tasks.build("regression", {}, "task"))(query)
    assert predicted.item() == pytest.approx(3.0, abs=1e-3)


@pytest.mark.parametrize("classifier", RULES)
def test_the_order_of_the_support_set_does_not_matter(classifier):
    order = torch.tensor([3, 0, 2, 1])
    task = tasks.build("classification", {}, "task")
    one = task.aggregate(weights(classifier), SLOTS)
    other = task.aggregate(weights(classifier, SLOTS[:, order], SUPPORT[:, order]), SLOTS[:, order])
    assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("encoder", [SMALL, MLP], ids=["small", "mlp"])
@pytest.mark.parametrize("loss", ["infonce", "prototypical", "contrastive"])
@pytest.mark.parametrize("distance", ["cosine", "euclidean", "sqeuclidean"])
def test_every_parameter_learns_in_the_first_step(samples, encoder, loss, distance):
    learner = make_learner(encoder, loss, distance=distance)
    batch = gather(
        samples, Sampler(samples, 0, "train").draw([0, 1], EpisodeShape(4, 2, 2)), MAPPINGS[:2]
    )
    value = learner.loss(batch)
    assert value.shape == ()
    value.backward()
    lacking = [
        n for n, p in learner.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]
    assert not lacking


def test_the_loss_is_the_mean_over_mappings(samples):
    learner = make_learner(MLP)
    drawn = Sampler(samples, 0, "train").draw([0], EpisodeShape(4, 2, 2))
    each = [learner.loss(gather(samples, drawn, [m])) for m in MAPPINGS]
    assert torch.allclose(learner.loss(gather(samples, drawn, MAPPINGS)), torch.stack(each).mean())


@pytest.mark.parametrize("loss", ["infonce", "prototypical", "contrastive"])
def test_distances_keep_float32_under_autocast(samples, loss):
    learner = make_learner(MLP, loss, distance="sqeuclidean").eval()
    batch = gather(samples, Sampler(samples, 0, "train").draw([0], EpisodeShape(4, 2, 2)), MAPPINGS)
    embedded = batch.encode(learner.embedder.encode)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(learner.loss(embedded), learner.loss(embedded).float())
        under = learner.loss(embedded)
    assert torch.equal(under, learner.loss(embedded))


def test_adapting_sees_no_query(samples, learner):
    learner.eval()
    batch = gather(
        samples, Sampler(samples, 0, "train").draw([0], EpisodeShape(4, 1, 2)), MAPPINGS[:1]
    )
    support, query = batch.view(MAPPINGS[0])
    predict = learner.adapt(support)
    first = predict(query)
    predict(
        ExampleSet(
            {"image": Column(torch.zeros(8, 16, 16, dtype=torch.uint8))}, {"image": (1, 4, 2)}
        )
    )
    assert torch.equal(predict(query), first)


def test_predictions_are_log_probabilities(samples, learner):
    learner.eval()
    batch = gather(
        samples, Sampler(samples, 0, "train").draw([0, 1], EpisodeShape(4, 2, 2)), MAPPINGS
    )
    for mapping in MAPPINGS:
        support, query = batch.view(mapping)
        predictions = learner.adapt(support)(query)
        assert predictions.shape == (2, query.labels.shape[1], 4)
        assert torch.allclose(predictions.exp().sum(-1), torch.ones(1), atol=1e-5)


def test_distances_and_rules_take_options_by_name():
    from mmml.registry import Registry

    powers = Registry("distance", "mmml.similarity", functions=True)

    @powers.register("minkowski")
    def minkowski(query, support, *, power: float):
        return power

    assert powers.build("minkowski", {"power": 3.0}, "method.distance")(None, None) == 3.0
    with pytest.raises(
        UserError, match=r"method.distance.power is missing: distance 'minkowski' needs it"
    ):
        powers.build("minkowski", {}, "method.distance")
    with pytest.raises(UserError, match=r"method.distance.power=x: expected float"):
        powers.build("minkowski", {"power": "x"}, "method.distance")


def test_the_rule_suits_the_task():
    classifiers = [make_learner(classifier=None).variant]
    embedder, task = make_learner().embedder, tasks.build("regression", {}, "task")
    classifiers.append(metric_learner(embedder, task).variant)
    assert classifiers == ["prototype", "attention"]


def test_an_option_that_nothing_takes_is_refused():
    from mmml.encoders import build_embedder
    from mmml.methods import methods

    options = {
        "distance": {"name": "cosine"},
        "loss": {"name": "contrastive", "margni": 1.0, "squared": False},
    }
    task = tasks.build("classification", {}, "task")
    with pytest.raises(UserError, match=r"method.loss.margni.*did you mean 'margin'"):
        methods.build(
            "metric", options, "method", embedder=build_embedder(MLP, ["image"]), task=task
        )


@pytest.mark.parametrize(
    ("normalize", "distance", "classifier", "message"),
    [
        (
            False,
            "dtw",
            "prototype",
            (
                "method/classifier=prototype computes with .* set method/classifier=nearest "
                "or attention"
            ),
        ),
        (
            False,
            "cosine",
            "nearest",
            "method/distance=cosine cannot compare .* set method/distance=dtw",
        ),
        (
            True,
            "dtw",
            "nearest",
            "encoder.normalize=true cannot scale .* set encoder.normalize=false",
        ),
    ],
)
def test_embeddings_with_gaps_are_compared_by_their_own_distance_or_not_at_all(
    normalize, distance, classifier, message
):
    options = {"width": 1, "normalize": normalize, "fusion": "mean", "audio": {"name": "raw_audio"}}
    embedder = build_embedder(options, ["audio"])
    loss = {"temperature": 1.0, "learn_temperature": False}
    with pytest.raises(UserError, match=message):
        metric_learner(
            embedder,
            tasks.build("classification", {}, "task"),
            distance,
            "infonce",
            classifier,
            **loss,
        )


@pytest.mark.parametrize("distance", ["local", "dtw", "modified_hausdorff"])
def test_a_distance_of_parts_wants_an_encoder_of_parts(distance):
    embedder = build_embedder(MLP, ["image"])
    loss = {"temperature": 1.0, "learn_temperature": False}
    with pytest.raises(
        UserError, match=f"method/distance={distance} cannot compare .* set method/distance=cosine"
    ):
        metric_learner(
            embedder,
            tasks.build("classification", {}, "task"),
            distance,
            "infonce",
            "nearest",
            **loss,
        )
