"""The learner as training and evaluation use it."""

import gc

import pytest
import torch

from mmml.data.column import Column
from mmml.encoders import build_embedder
from mmml.episodes import EpisodeShape, Mapping
from mmml.errors import TrainingError, UserError
from mmml.methods import Role
from tests.methods.learned_optimizer.making import (
    CONV,
    GENTLE,
    IMAGES,
    NAMES,
    ONE_EACH,
    RULES,
    episodes,
    make,
)

BOTH = Mapping.parse("image+text:image")


def adapted(learner, batch):
    support, query = batch.view(IMAGES)
    return learner.adapt(support)(query)


@torch.no_grad()
@pytest.mark.parametrize("adapt", ["head", "all"])
@pytest.mark.parametrize("rule", ONE_EACH)
def test_predictions_are_log_probabilities_without_a_graph(samples, rule, adapt):
    predictions = adapted(make(adapt=adapt, **GENTLE | RULES[rule]).eval(), episodes(samples))
    assert predictions.shape == (2, 6, 3) and not predictions.requires_grad
    assert torch.allclose(predictions.exp().sum(-1), torch.ones(1), atol=1e-5)


@torch.no_grad()
def test_adapting_helps(samples):
    """Two steps on the support items fit them better than one, and one better than none."""
    support, _ = episodes(samples).view(IMAGES)
    losses = []
    for steps in (0, 1, 2):
        learner = make(update_rule="sgd", eval_inner_steps=steps, inner_lr=0.01).eval()
        losses.append(
            learner.task.loss(learner.adapt(support)(support), support.labels).mean().item()
        )
    assert losses == sorted(losses, reverse=True) and losses[0] > losses[2] + 0.005


@torch.no_grad()
def test_without_steps_a_head_of_class_means_names_the_nearest(samples):
    learner = make(init="prototype", eval_inner_steps=0).eval()
    support, query = (s.encode(learner.embedder.encode) for s in episodes(samples).view(IMAGES))
    means = support.values["image"].mean(2)
    nearest = torch.cdist(query.values["image"].flatten(1, 2), means).argmin(-1)
    assert torch.equal(learner.adapt(support)(query).argmax(-1), nearest)


@pytest.mark.parametrize("adapt", ["head", "all"])
def test_raw_and_embedded_examples_are_learned_alike(samples, adapt):
    learner = make(adapt=adapt).eval()
    support, query = episodes(samples).view(IMAGES)
    assert learner.embeds_once == (adapt == "head")
    if learner.embeds_once:
        embedded = [s.encode(learner.embedder.encode) for s in (support, query)]
        assert torch.allclose(
            learner.adapt(embedded[0])(embedded[1]), learner.adapt(support)(query), atol=1e-6
        )


@torch.no_grad()
def test_any_number_of_classes_shots_and_queries(samples):
    for rule in ("learned_lr", "meta_lstm"):
        learner = make(ways=6, **GENTLE | RULES[rule]).eval()
        for ways, shots, queries in ((2, 1, 1), (6, 2, 2), (3, 1, 3)):
            predictions = adapted(
                learner, episodes(samples, shape=EpisodeShape(ways, shots, queries))
            )
            assert predictions.shape == (2, ways * queries, ways)


@torch.no_grad()
@pytest.mark.parametrize("adapt", ["head", "all"])
def test_memory_is_flat_over_episodes(samples, adapt):
    learner, counts = make(adapt=adapt).eval(), []
    for i in range(12):
        adapted(learner, episodes(samples, numbers=[i]))
        if i in (2, 11):
            gc.collect()
            counts.append(sum(type(o) is torch.Tensor for o in gc.get_objects()))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("adapt", ["head", "all"])
@pytest.mark.parametrize("rule", ["adam", "lstm", "meta_lstm"])
def test_truncation_changes_gradients_not_values(scored, rule, adapt):
    options = {"adapt": adapt, "inner_steps": 4, "task": "regression"} | GENTLE | RULES[rule]
    batch = episodes(scored)
    full, cut = make(**options), make(truncation_length=2, **options)
    (loss,) = full.losses(batch, 1.0)
    pieces = list(cut.losses(batch, 1.0))
    assert len(pieces) == 2 and torch.equal(pieces[1], loss)
    by = [full.model.head.weight, full.model.head.bias]
    assert all(g.norm() > 0 for g in torch.autograd.grad(loss, by, retain_graph=True))
    by = [cut.model.head.weight, cut.model.head.bias]
    assert all(
        g is None for g in torch.autograd.grad(pieces[1], by, retain_graph=True, allow_unused=True)
    )
    assert all(g.norm() > 0 for g in torch.autograd.grad(pieces[0], by))


@pytest.mark.parametrize("adapt", ["head", "all"])
def test_every_view_goes_on_from_its_own_point(samples, adapt):
    """Pieces of an unroll, of several mappings, and of tasks that are computed one by one."""
    batch = episodes(samples, [IMAGES, NAMES])
    options = {"adapt": adapt, "update_rule": "adam", "vectorize": False}
    (full,) = make(**options, **GENTLE, inner_steps=4).losses(batch, 1.0)
    *_, last = make(**options, **GENTLE, inner_steps=4, truncation_length=2).losses(batch, 1.0)
    assert last.item() == pytest.approx(full.item(), rel=1e-6)


@pytest.mark.parametrize("weights", ["last", "uniform", "linear"])
def test_every_piece_is_descended_with_the_parameters_of_the_last(samples, weights):
    learner = make(
        update_rule="lstm",
        inner_steps=6,
        truncation_length=2,
        step_loss_weights=weights,
        curriculum=1.0,
    )
    optimizer = torch.optim.SGD(learner.parameters(), 0.1)
    for progress, expected in ((0.0, 1), (0.5, 2), (1.0, 3)):
        pieces = 0
        for loss in learner.losses(episodes(samples, [IMAGES, NAMES]), progress):
            optimizer.zero_grad()
            loss.backward()  # fails where a piece follows back what the last one released
            optimizer.step()
            pieces += 1
        assert pieces == expected


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("adapt", ["head", "all"])
def test_what_is_learned_is_the_loss_of_predictions(scored, adapt, task):
    learner = make(adapt=adapt, task=task, update_rule="adam", inner_steps=4, **GENTLE).eval()
    batch = episodes(scored)
    expected = learner.task.loss(
        adapted(learner, batch), learner.task.targets(batch.view(IMAGES)[1])
    ).mean()
    (loss,) = learner.losses(batch, 1.0)
    assert torch.allclose(loss, expected, rtol=1e-5)


def test_intermediate_losses_are_weighed(samples):
    batch = episodes(samples)
    each = [
        next(make(update_rule="sgd", inner_steps=n).losses(batch, 1.0)).item() for n in (1, 2, 3)
    ]
    for weights, expected in (
        ("uniform", sum(each) / 3),
        ("linear", (each[0] + 2 * each[1] + 3 * each[2]) / 6),
    ):
        (loss,) = make(update_rule="sgd", inner_steps=3, step_loss_weights=weights).losses(
            batch, 1.0
        )
        assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_losses_keep_float32_under_autocast(samples):
    learner = make(update_rule="lstm").eval()
    embedded = episodes(samples).encode(learner.embedder.encode)
    with torch.autocast("cpu", torch.bfloat16):
        (under,) = learner.losses(embedded, 1.0)
    assert torch.equal(under, next(learner.losses(embedded, 1.0)))


def test_divergence_is_told_with_task_step_and_rate(scored):
    learner = make(task="regression", update_rule="sgd", inner_lr=1e200, truncation_length=1)
    at = r"before step \d at method.update_rule.inner_lr=1e\+200; a smaller"
    wanted = rf"the inner loop of task 0 diverged: its loss is (nan|inf) {at}"
    with pytest.raises(TrainingError, match=wanted):
        list(learner.losses(episodes(scored), 1.0))


def test_divergence_of_tasks_that_are_computed_one_by_one_is_told_of_the_right_one(samples):
    learner = make(CONV, update_rule="sgd", adapt="all", inner_lr=1e-3)
    batch = episodes(samples)
    images = batch.support.columns["image"].values.float()
    images[len(images) // 2 :] = torch.nan
    batch.support.columns["image"] = Column(images)
    with pytest.raises(TrainingError, match="the inner loop of task 1 diverged"):
        list(learner.losses(batch, 1.0))


@torch.no_grad()
def test_divergence_after_training_is_a_warning(scored, caplog):
    support, query = episodes(scored).view(IMAGES)
    learner = make(task="regression", update_rule="sgd", inner_lr=1e200).eval()
    assert not torch.isfinite(learner.adapt(support)(query)).all()
    assert (
        "the inner loop of task 0 diverged" in caplog.text
        and "at method.update_rule.inner_lr=1e+200" in caplog.text
    )
    caplog.clear()
    learner.role = Role.TUNED
    learner.adapt(support)
    assert caplog.text == ""


@torch.no_grad()
@pytest.mark.parametrize("adapt", ["head", "all"])
def test_a_trace_has_the_loss_after_each_step(samples, adapt):
    support, query = episodes(samples).view(IMAGES)
    trace = make(update_rule="adam", adapt=adapt, **GENTLE).eval().trace(support, query)
    expected = []
    for steps in range(4):
        learner = make(update_rule="adam", adapt=adapt, eval_inner_steps=steps, **GENTLE).eval()
        expected.append(learner.task.loss(learner.adapt(support)(query), query.labels))
    assert torch.allclose(trace, torch.stack(expected), atol=1e-5)


@torch.no_grad()
def test_a_transductive_learner_is_shown_beside_itself_without(samples):
    learner = make(CONV, update_rule="sgd", adapt="all", transductive=True, **GENTLE).eval()
    (alone,), *others = learner.controls(None)
    assert (
        not alone.transductive and not alone.baseline and learner.transductive and len(others) == 3
    )
    plain = make(CONV, update_rule="sgd", adapt="all", transductive=False, **GENTLE).eval()
    assert torch.equal(adapted(alone, episodes(samples)), adapted(plain, episodes(samples)))


def test_rivals_adapt_the_same_model(samples):
    learner = make(update_rule="lstm", inner_steps=2).eval()
    standing, *tuned = learner.controls(None)
    assert [r.predictor_name for r in standing] == ["learned_optimizer/no adaptation"]
    names = [[r.variant for r in controls] for controls in tuned]
    assert [n[0] for n in names] == ["sgd, rate 0.001", "adam, rate 0.001"]
    assert [n[-1] for n in names] == ["sgd, rate 100", "adam, rate 100"]
    assert all(
        r.baseline and r.model is learner.model for controls in (standing, *tuned) for r in controls
    )
    assert not learner.baseline and learner.variant == "lstm"
    rates = [[r.optimizer.inner_lr for r in controls] for controls in tuned]
    assert rates[0] == rates[1] == sorted(rates[0]) and rates[0][0] == pytest.approx(1e-3)
    with torch.no_grad():
        still = adapted(standing[0], episodes(samples))
        assert torch.equal(
            still, adapted(make(update_rule="sgd", eval_inner_steps=0).eval(), episodes(samples))
        )
        assert not torch.allclose(still, adapted(tuned[0][-1], episodes(samples)), atol=1e-3)


def test_fewer_episodes_at_a_time_where_models_are_large():
    head, full = (make(adapt=adapt, update_rule="lstm") for adapt in ("head", "all"))
    assert head.max_episodes(EpisodeShape(5, 1, 5)) == 10_000 // (5 * 17)
    assert head.max_episodes(EpisodeShape(5, 1, 5)) > full.max_episodes(EpisodeShape(5, 1, 5)) >= 1
    assert make(update_rule="sgd").max_episodes(EpisodeShape(5, 1, 5)) == 4_000_000 // (5 * 17)


def test_what_a_run_says_of_itself():
    said = make(update_rule="lstm", first_order=False, hidden=4, layers=0).describe()
    assert (said["update_rule"], said["order"], said["adapt"]) == ("lstm", "second order", "head")
    assert (said["adapted_parameters"], said["update_rule_parameters"]) == (17, 3)
    assert make(first_order=True).describe()["order"] == "first order"
    assert make().predictor_name == "learned_optimizer/lstm"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adapt": "body"}, r"method.adapt=body must be head or all"),
        ({"init": "random"}, r"method.init=random must be one of learned, zero, prototype"),
        ({"head_scale": 0.0}, r"method.head_scale=0.0 must be a positive number"),
        ({"vectorize": "yes"}, r"method.vectorize=yes must be auto, true or false"),
        ({"eval_inner_steps": -1}, r"method.eval_inner_steps=-1 must be 0 or more, or null"),
        ({"transductive": True}, r"method.transductive=true needs method.adapt=all"),
        (
            {"truncation_length": 9},
            r"method.truncation_length=9 must be from 1 to method.inner_steps=3",
        ),
        ({"update_rule": "lsmt"}, r"method.update_rule.name=lsmt.*did you mean 'lstm'"),
        (
            {"update_rule": "sgd", "inner_lr": 0.0},
            r"method.update_rule.inner_lr=0.0 must be a positive number",
        ),
        (
            {"hiden": 3},
            (
                r"method.update_rule.hiden: update rule 'lstm' has no such option; "
                r"did you mean 'hidden'"
            ),
        ),
        ({"inner_steps": 1.5}, r"method.inner_steps=1.5: expected int"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(UserError, match=message):
        make(**options)


@pytest.mark.parametrize("adapt", ["head", "all"])
def test_an_encoder_of_supports_alone_is_refused_where_it_would_learn_nothing(adapt):
    """In first order only what computes the head follows supports back; what is queried
    learns in any case.
    """
    message = (
        "the encoder of text would learn nothing: .* set method.first_order=false or "
        "method.init=prototype"
    )
    for alone in ([NAMES], [IMAGES, NAMES], [BOTH]):
        with pytest.raises(UserError, match=message):
            make(adapt=adapt, first_order=True).check_training(alone)
    for learns in ({"first_order": False}, {"init": "prototype"}):
        make(adapt=adapt, **{"first_order": True} | learns).check_training([NAMES])
    for change in (
        [IMAGES],
        [NAMES, Mapping.parse("image:text")],
        [Mapping.parse("image:image+text")],
    ):
        make(adapt=adapt, first_order=True).check_training(change)
    frozen = make(adapt=adapt, first_order=True)
    frozen.embedder.encoders["text"].requires_grad_(False)
    frozen.check_training([NAMES])


def test_the_mean_of_the_support_scores_shows_encoders_nothing(scored):
    learner = make(task="regression", first_order=True, init="prototype")
    with pytest.raises(
        UserError,
        match=r"would learn nothing: .* supports have no gradient; set method\.first_order=false$",
    ):
        learner.check_training([NAMES])


def test_raw_values_have_no_known_width():
    raw = {"width": 16, "normalize": False, "fusion": "mean", "image": {"name": "raw_image"}}
    with pytest.raises(
        UserError, match=r"method=learned_optimizer needs embeddings of a known width"
    ):
        make(build_embedder(raw, ["image"]))


def test_convolutions_learn_too(samples):
    learner = make(
        CONV,
        adapt="all",
        update_rule="sgd",
        first_order=False,
        inner_steps=2,
        init="prototype",
        **GENTLE,
    )
    (loss,) = learner.losses(episodes(samples), 1.0)
    loss.backward()
    lacking = [
        n for n, p in learner.named_parameters() if "text" not in n and not p.grad.norm() > 0
    ]
    assert lacking == []
