import re
from pathlib import Path

import numpy as np
import pytest
import torch

import mmml
from mmml.config import check_config
from mmml.config.compose import compose_plain
from mmml.errors import UserError
from mmml.predict.inputs import Queries, Reading
from mmml.predict.model import untrained_model
from mmml.predict.summary import PredictionSummary
from tests.data.making import pictures, write_csv
from tests.predict.making import features

MAPPINGS = [
    "episode.eval.mappings=[features:features]",
    "episode.train.mappings=[features:features]",
]


def model_of(*overrides: str, features: str | None = "f.npy"):
    plain = compose_plain(["encoder=raw", *MAPPINGS, *overrides])
    return untrained_model(check_config(plain), Reading(features=features))


@pytest.mark.parametrize("classifier", ["prototype", "nearest", "ridge", "attention"])
def test_every_rule_labels_new_rows_without_training(tmp_path, classifier):
    support = features(tmp_path / "s", [0, 1, 2] * 5, seed=0)
    query = features(tmp_path / "q", [2, 2, 1, 0, 1], seed=1, labelled=False)
    found = list(
        model_of(f"method/classifier={classifier}").adapt(str(support)).predict(str(query))
    )
    assert [p.label for p in found] == ["c2", "c2", "c1", "c0", "c1"]
    assert [p.id for p in found] == [f"q{i}" for i in range(5)]
    assert all(1 / 3 < p.probability < 1 and p.problem is None for p in found)


def test_the_nearest_support_samples_are_named(tmp_path):
    support = features(tmp_path / "s", [0, 0, 1, 1, 2, 2], seed=0, noise=0.01)
    query = features(tmp_path / "q", [1, 2], seed=1, noise=0.01)
    found = list(model_of().adapt(str(support)).predict(str(query), neighbors=2))
    assert {found[0].neighbors, found[1].neighbors} <= {
        ("s2", "s3"),
        ("s3", "s2"),
        ("s4", "s5"),
        ("s5", "s4"),
    }
    assert found[0].neighbors[0] in ("s2", "s3") and found[1].neighbors[0] in ("s4", "s5")


def test_queries_do_not_influence_one_another(tmp_path, monkeypatch):
    support = features(tmp_path / "s", [0, 1, 2] * 3, seed=0)
    query = features(tmp_path / "q", [0, 1, 2] * 4, seed=1)
    adapted = model_of().adapt(str(support))
    together = list(adapted.predict(str(query)))
    monkeypatch.setattr("mmml.predict.model.CHUNK", 5)
    inductive = list(adapted.predict(str(query)))
    assert [p.label for p in together] == [p.label for p in inductive]
    assert np.allclose(
        [p.probability for p in together], [p.probability for p in inductive], atol=1e-6
    )


ADAPTS = ["method=learned_optimizer", "method/algorithm=maml", "method.inner_steps=2"]


@pytest.mark.parametrize("norm", ["false", "true"])
def test_encoders_that_adapt_label_a_query_by_the_support_set_alone(tmp_path, norm):
    support = features(tmp_path / "s", [0, 1, 2] * 5, seed=0)
    query = features(tmp_path / "q", [0, 1, 2] * 3, seed=1)
    model = model_of(
        *SMALL, *ADAPTS, f"method.transductive={norm}", "method.update_rule.inner_lr=0.05"
    )
    model.learner.embedder.encoders["features"].fit(torch.from_numpy(np.load(support / "f.npy")))
    model.learner = model.learner.inductive()
    adapted = model.adapt(str(support))
    # It was cross-validated on raw values.
    assert adapted.entry is not None and adapted.entry.temperature < 50
    together = [p.probability for p in adapted.predict(str(query))]
    np.save(query / "f.npy", np.load(query / "f.npy")[:1])
    write_csv(query / "metadata.csv", [{"id": "alone"}])
    (alone,) = adapted.predict(str(query))
    assert alone.probability == pytest.approx(together[0], abs=1e-5)


def test_classes_may_have_different_numbers_of_samples(tmp_path):
    support = features(tmp_path / "s", [0, 0, 0, 0, 0, 0, 1, 2, 2], seed=0, noise=0.1)
    query = features(tmp_path / "q", [0, 1, 2], seed=1, noise=0.1)
    for classifier in ("prototype", "nearest", "ridge", "attention"):
        found = model_of(f"method/classifier={classifier}").adapt(str(support)).predict(str(query))
        assert [p.label for p in found] == ["c0", "c1", "c2"], classifier


def test_what_belongs_to_no_class_is_rejected(tmp_path):
    support = features(tmp_path / "s", [0, 1, 2, 3] * 6, seed=0, noise=0.2)
    query = features(tmp_path / "q", [0, 1, 2, 5, 6, 7] * 20, seed=1, noise=0.2)
    labels = np.array(
        [p.label for p in model_of().adapt(str(support)).predict(str(query), reject=0.9)]
    ).reshape(-1, 6)
    assert (labels[:, 3:] == None).mean() > 0.75  # noqa: E711
    assert (labels[:, :3] == ["c0", "c1", "c2"]).mean() > 0.9


def test_rejection_needs_something_to_calibrate_on(tmp_path):
    support = features(tmp_path / "s", [0, 1, 2], seed=0)
    adapted = model_of().adapt(str(support))
    with pytest.raises(UserError, match="predict.reject needs a checkpoint"):
        list(adapted.predict(str(support), reject=0.9))
    with pytest.raises(UserError, match="predict.reject=2 must be between 0 and 1"):
        list(
            model_of()
            .adapt(str(features(tmp_path / "t", [0, 1] * 2, seed=0)))
            .predict(str(support), reject=2)
        )


def test_scores_are_predicted_from_like_samples(tmp_path):
    root = features(tmp_path / "s", [0, 1, 2] * 5, seed=0, noise=0.01)
    rows = [{"id": i, "label": "size", "score": c} for i, c in enumerate([0, 1, 2] * 5)]
    write_csv(root / "metadata.csv", rows)
    query = features(tmp_path / "q", [2, 0], seed=1, noise=0.01)
    model = model_of(
        "task=regression",
        "episode=regression",
        "method/classifier=attention",
        "method.loss.temperature=0.01",
    )
    found = list(model.adapt(str(root)).predict(str(query)))
    assert [p.score for p in found] == pytest.approx([2, 0], abs=0.05)
    assert all(p.label is None and p.probability is None for p in found)
    with pytest.raises(UserError, match="has no column score"):
        model.adapt(str(features(tmp_path / "t", [0, 1], seed=0)))


SMALL = ["encoder=small", "encoder/features=mlp_features", "encoder.width=8"]
WRITES = [f"method.language_model.{o}" for o in ("width=16", "heads=2", "max_length=8")]
GENERATION = ["task=generation", "episode=pairs"]
GENERATION += [f"episode.{side}.mappings=[features:features]" for side in ("train", "eval")]


def with_texts(root):
    """Fifteen rows of three kinds, which are called zero, one and two; a label is no matter."""
    features(root, [0, 1, 2] * 5, seed=0, noise=0.01)
    write_csv(
        root / "metadata.csv",
        [{"id": i, "text": t} for i, t in enumerate(["zero", "one", "two"] * 5)],
    )
    return root


def test_texts_are_given_from_known_ones(tmp_path):
    root = with_texts(tmp_path / "s")
    query = features(tmp_path / "q", [2, 0, 1], seed=1, noise=0.01, labelled=False)
    model = model_of(*GENERATION, "method/classifier=attention", "method.loss.temperature=0.01")
    found = list(model.adapt(str(root)).predict(str(query)))
    assert [p.text for p in found] == ["two", "zero", "one"]
    assert all(p.label is p.probability is p.score is None and len(p.neighbors) == 3 for p in found)
    with pytest.raises(UserError, match="has no column text, which task=generation needs"):
        model.adapt(str(features(tmp_path / "t", [0, 1], seed=0)))


def test_texts_are_translated_as_known_ones_were(tmp_path, capsys):
    known = [("uno", "one"), ("due", "two"), ("tre", "three")]
    for name, rows in (("s", [*known, *known]), ("q", [("due", ""), ("tre", "")])):
        (tmp_path / name).mkdir()
        named = [{"source_text": source, "text": text} for source, text in rows]
        write_csv(tmp_path / name / "metadata.csv", named)
    mappings = [f"episode.{side}.mappings=[source_text:source_text]" for side in ("train", "eval")]
    model = model_of(*GENERATION[:-2], *mappings, "method/classifier=nearest", features=None)
    found = list(model.adapt(str(tmp_path / "s")).predict(str(tmp_path / "q")))
    assert [p.text for p in found] == ["two", "three"]
    summary = PredictionSummary(
        Queries(str(tmp_path / "s"), model.reading), model.adapt(str(tmp_path / "s"))
    )
    list(summary.watch(model.adapt(str(tmp_path / "s")).predict(str(tmp_path / "s"))))
    summary.show("texts", tmp_path / "predictions.csv")
    message = capsys.readouterr().out
    assert "chrF: 100.0% over 6 queries" in message and "probability" not in message


def test_a_learned_optimizer_writes_texts(tmp_path):
    root = with_texts(tmp_path / "s")
    query = features(tmp_path / "q", [2, 0, 1], seed=1, labelled=False)
    model = model_of(
        *GENERATION, "method=learned_optimizer", "method.init=learned", *SMALL, *WRITES
    )
    model.learner.embedder.encoders["features"].fit(torch.from_numpy(np.load(root / "f.npy")))
    found = list(model.adapt(str(root)).predict(str(query)))
    assert len(found) == 3 and all(isinstance(p.text, str) and p.problem is None for p in found)


def test_files_have_no_candidates_to_rank(tmp_path):
    options = ["task=retrieval", "episode=pairs", "method/classifier=attention", *GENERATION[-2:]]
    with pytest.raises(UserError, match="task=retrieval ranks the answers of a whole domain"):
        model_of(*options).adapt(str(with_texts(tmp_path / "s")))


def test_ten_lines_of_python(finished, tmp_path, monkeypatch, capsys):
    """The example of docs/own-data.md, on a run of this session."""
    rows = pictures(tmp_path / "five-examples", classes=3, each=5)
    pictures(tmp_path / "unlabelled", classes=3, each=2)
    monkeypatch.chdir(tmp_path)
    page = (Path(mmml.__file__).parent.parent / "docs" / "own-data.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    assert len(code.splitlines()) <= 10 and len(rows) == 15
    exec(code.replace("outputs/DATE/RUN", str(finished)), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and all(
        re.match(r"c\d/\d.png c\d 0\.\d+ \('c\d/", line) for line in lines
    )


def test_a_finished_run_adapts_to_new_classes(finished, tmp_path):
    rows = pictures(tmp_path / "s", classes=3, each=2)
    write_csv(tmp_path / "s" / "metadata.csv", rows)
    pictures(tmp_path / "q", classes=2, each=2)
    model = mmml.load(str(finished))
    adapted = model.adapt(str(tmp_path / "s"))
    # Calibrated on validation.
    assert str(adapted.mapping) == "image:image" and adapted.entry is not None
    found = list(adapted.predict(str(tmp_path / "q")))
    assert len(found) == 4 and {p.label for p in found} <= {"class 0", "class 1", "class 2"}


def test_names_alone_are_enough_across_modalities(finished, tmp_path):
    write_csv(
        tmp_path / "names.csv",
        [{"text": t, "label": t} for t in ("LATIN SMALL LETTER A", "DIGIT ONE")],
    )
    pictures(tmp_path / "q", classes=2, each=2)
    adapted = mmml.load(str(finished)).adapt(str(tmp_path / "names.csv"), "text:image")
    found = list(adapted.predict(str(tmp_path / "q"), neighbors=2))
    assert {p.label for p in found} <= {"LATIN SMALL LETTER A", "DIGIT ONE"} and len(found) == 4
    assert all(set(p.neighbors) == {"LATIN SMALL LETTER A", "DIGIT ONE"} for p in found)


def test_a_query_that_cannot_be_read_is_told_and_the_others_predicted(finished, tmp_path):
    pictures(tmp_path / "s", classes=2, each=2)
    pictures(tmp_path / "q", classes=2, each=2)
    (tmp_path / "q" / "c0" / "1.png").write_bytes(b"no picture")
    found = list(mmml.load(str(finished)).adapt(str(tmp_path / "s")).predict(str(tmp_path / "q")))
    assert [p.problem is None for p in found] == [True, False, True, True]
    assert "damaged" in found[1].problem and found[1].label is None and found[1].probability is None


def test_a_support_sample_that_cannot_be_read_is_named(finished, tmp_path):
    pictures(tmp_path / "s", classes=2, each=2)
    (tmp_path / "s" / "c0" / "1.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"support: c0/1.png of .*1.png: it is damaged"):
        mmml.load(str(finished)).adapt(str(tmp_path / "s"))


def test_a_mapping_that_the_support_set_does_not_allow(finished, tmp_path):
    pictures(tmp_path / "s", classes=2, each=2)
    model = mmml.load(str(finished))
    with pytest.raises(
        UserError, match="predict.mapping=audio:image: the model does not read audio"
    ):
        model.adapt(str(tmp_path / "s"), "audio:image")
    write_csv(tmp_path / "t.csv", [{"strokes_file_name": "a.json", "label": "a"}])
    (tmp_path / "a.json").write_text("[[[0, 0], [1, 1]]]")
    (tmp_path / "q").mkdir()
    with pytest.raises(UserError, match="the model reads image, text"):
        from mmml.predict.inputs import Queries

        model.adapt(str(tmp_path / "t.csv"), query=Queries(str(tmp_path / "t.csv"), model.reading))


def test_another_rule_than_the_judged_one_is_calibrated_anew(finished, tmp_path):
    from mmml.config.compose import apply_overrides
    from mmml.predict.model import trained_model
    from mmml.training.checkpoint import load_checkpoint

    pictures(tmp_path / "s", classes=3, each=4)
    stored = load_checkpoint(finished / "checkpoints" / "best.ckpt", "checkpoint")
    assert stored.calibration["entries"]
    changed = check_config(apply_overrides(stored.config, ["method/classifier=nearest"], []))
    judged = mmml.load(str(finished)).adapt(str(tmp_path / "s")).entry
    other = trained_model(stored, changed, Reading()).adapt(str(tmp_path / "s")).entry
    assert judged.temperature in [e["temperature"] for e in stored.calibration["entries"]]
    assert other.temperature not in [e["temperature"] for e in stored.calibration["entries"]]
    assert other.unknown == judged.unknown  # novelty knows no rule


def test_raw_sounds_are_compared_by_dtw_only():
    with pytest.raises(UserError, match="set method/distance=dtw"):
        plain = compose_plain(
            ["encoder=raw", "method/classifier=nearest", "episode.eval.mappings=[audio:audio]"]
        )
        plain["episode"]["train"]["mappings"] = ["audio:audio"]
        untrained_model(check_config(plain), Reading())


def test_what_has_no_mean_is_not_averaged():
    with pytest.raises(
        UserError, match="method/classifier=ridge computes with what encoder.audio gives"
    ):
        plain = compose_plain(
            ["encoder=raw", "episode.eval.mappings=[audio:audio]", "method/classifier=ridge"]
        )
        plain["method"]["distance"] = {"name": "dtw"}
        plain["episode"]["train"]["mappings"] = ["audio:audio"]
        untrained_model(check_config(plain), Reading())
