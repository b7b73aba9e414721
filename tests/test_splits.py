"""Nothing is chosen by the test split, and nothing is fitted but to the training split."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mmml import run as runs
from mmml.config.compose import compose_plain
from mmml.config.schema import check_run
from mmml.data.column import Column
from mmml.errors import UserError
from mmml.evaluation.calibration import Calibration
from mmml.evaluation.context import EpisodeContext
from mmml.evaluation.evaluators.few_shot import FewShot
from mmml.run_directory import RunDirectory
from mmml.training.checkpoint import load_checkpoint
from mmml.world import SINGLE_PROCESS
from tests.conftest import MLP, make_learner
from tests.data.making import write_csv
from tests.evaluation.making import MODALITIES, OPTIONS, measure, settings_of
from tests.methods.learned_optimizer.making import make

RUN = [
    "dataset=manifest",
    "dataset.root=nowhere",
    "dataset.features=f.npy",
    "encoder/features=mlp_features",
]
RUN += ["encoder.features.hidden=[4]", "encoder.width=4", "episode=five_way", "episode.eval.ways=2"]
RUN += [
    "episode.train.ways=2",
    "episode.eval.mappings=[features:features]",
    "episode.eval.shots=[1]",
]
RUN += [
    "episode.eval.queries=1",
    "episode.train.queries=1",
    "evaluation.validation_episodes=4",
    "trainer.device=cpu",
]


def context_of(**splits):
    """A context that has these splits and no other."""
    settings = settings_of(shots=[1], mappings=["image:image"])
    return EpisodeContext(MODALITIES, settings, replace(OPTIONS, lr_search_episodes=2), splits)


def alike(samples):
    """The same classes, each of copies of one image."""
    images = samples.columns["image"].values[samples.starts[:-1]][samples.labels]
    return replace(samples, columns={**samples.columns, "image": Column(images)})


def frozen():
    learner = make_learner(MLP)
    learner.embedder.requires_grad_(False)
    return learner


@pytest.fixture
def untested(samples):
    return context_of(train=samples, val=samples)


def test_what_selects_the_best_is_measured_without_the_test_split(untested, samples):
    learner = make_learner(MLP)
    assert (
        context_of(val=alike(samples)).validate(learner)["val/mean"]
        == 1
        > untested.validate(learner)["val/mean"]
    )
    assert untested.fingerprint() != context_of(val=alike(samples)).fingerprint()


def test_rates_of_rivals_are_chosen_without_the_test_split(untested):
    names = [control.predictor_name for control in untested.controls(make(MLP))]
    # One by each metric, or by both.
    assert names[0] == "learned_optimizer/no adaptation" and 2 <= len(names[1:]) <= 4


def test_what_a_control_knows_is_of_the_training_split(samples):
    """It is asked for what training showed, of which it may make a support set."""
    calls, learner = [], make_learner(MLP)
    learner.controls = lambda train: calls.append(train) or []
    train = alike(samples)
    for splits, given in (
        ({"train": train}, train),
        ({}, None),
        ({"train": replace(train, classes=[])}, None),
    ):
        context_of(val=samples, test=samples, **splits).controls(learner)
        assert calls.pop() is given


def test_confidence_is_calibrated_without_the_test_split(untested, samples):
    unsure, sure = (
        j.calibrate(make_learner(MLP)).entries[0]
        for j in (untested, context_of(val=alike(samples)))
    )
    assert unsure.temperature > 5 * sure.temperature


def test_frozen_classifiers_are_calibrated_by_validation_alone(samples):
    """The same test split, and validation splits of the same episodes, of which one is easy."""

    def errors(val):
        context = context_of(val=val, test=samples)
        results = measure(context, frozen(), context.calibrate(frozen()), [FewShot()])
        return {r.key.predictor: r.mean for r in results.where(metric="calibration error")}

    hard, easy = errors(samples), errors(alike(samples))
    assert set(hard) == {"metric/prototype", "frozen/prototype", "frozen/ridge", "frozen/attention"}
    assert all(easy[name] > 2 * hard[name] for name in hard), (
        "what is always right in validation trusts itself too much"
    )


@pytest.fixture(scope="module")
def plain():
    return compose_plain(RUN)


def manifest(root, **moved):
    """Vectors of three classes of four rows in each split; those of some splits are
    moved away from zero.
    """
    rng, rows, values = np.random.default_rng(0), [], []
    for split in ("train", "val", "test"):
        values.append(rng.standard_normal((12, 4)) + moved.get(split, 0))
        rows += [
            {"id": f"{split}{i}", "label": f"{split} {i // 4}", "split": split} for i in range(12)
        ]
    root.mkdir()
    np.save(root / "f.npy", np.concatenate(values).astype("f4"))
    write_csv(root / "metadata.csv", rows)
    return root


def on(plain, root, **changes):
    return plain | {"dataset": plain["dataset"] | {"root": str(root)}} | changes


def prepared(plain, root):
    """A run before its first step, which has saved itself."""
    changed, run = on(plain, root), RunDirectory(root / "run").create()
    experiment, trainer = runs.prepare(check_run(changed), changed, run)
    trainer.save_last()
    return experiment, run


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_encoders_are_fitted_to_the_training_split_alone(plain, tmp_path):
    one, other, moved = (
        prepared(plain, manifest(tmp_path / name, **offsets))[0].learner.state_dict()
        for name, offsets in (
            ("one", {}),
            ("other", {"val": 50, "test": -90}),
            ("moved", {"train": 5}),
        )
    )
    assert same(one, other) and not same(one, moved)


def test_a_finished_learner_is_not_fitted_to_what_it_is_judged_by(plain, tmp_path):
    _, run = prepared(plain, manifest(tmp_path / "one"))
    checkpoint = load_checkpoint(run.last, "checkpoint")
    elsewhere = manifest(tmp_path / "other", train=7, val=50, test=-90)
    assert same(
        runs.restore(check_run(on(plain, elsewhere)), checkpoint).learner.state_dict(),
        checkpoint.learner,
    )


def test_confidence_is_that_of_the_parameters_that_validation_selected(plain, tmp_path):
    experiment, run = prepared(plain, manifest(tmp_path / "one"))
    learner, context = experiment.learner, experiment.context
    run.last.rename(run.best)
    selected = context.calibrate(learner)
    for parameter in learner.parameters():
        parameter.data.add_(1)
    assert context.calibrate(learner) != selected
    runs.finish(experiment, run)
    stored = load_checkpoint(run.best, "checkpoint")
    assert experiment.calibration == selected == Calibration.from_plain(stored.calibration)
    assert same(learner.state_dict(), stored.learner)


def test_the_seed_of_a_run_changes_its_training_and_not_what_judges_it(plain, tmp_path):
    root = manifest(tmp_path / "one")
    zero, one = (runs.assemble(check_run(on(plain, root, seed=seed))) for seed in (0, 1))
    assert zero.context.fingerprint() == one.context.fingerprint()
    rows = [
        e.context.sampler("test").draw(range(20), e.context.settings[0].shape).query
        for e in (zero, one)
    ]
    assert np.array_equal(*rows) and not same(zero.learner.state_dict(), one.learner.state_dict())
    for experiment in (zero, one):
        experiment.learner.fit(experiment.samples["train"])
    first, other = (e.batches(SINGLE_PROCESS)(0).support.values["features"] for e in (zero, one))
    assert not torch.equal(first, other)


def test_speakers_that_training_heard_are_refused_in_the_test(plain, tmp_path):
    experiment = runs.assemble(check_run(on(plain, manifest(tmp_path / "one"))))
    identity, test = experiment.dataset.identity, experiment.samples["test"]
    experiment.samples["test"] = replace(test, kept_apart=["speaker a", "speaker b"])
    experiment.known_classes = [f"{identity}/train 0", f"{identity}/speaker b"]
    with pytest.raises(
        UserError,
        match=(
            r"trained or selected on 1 of these test classes \(or samples\), "
            r"such as '.*/speaker b'"
        ),
    ):
        runs.refuse_seen_classes(experiment)
