"""What is counted of predictions, and what is said of it."""

import pytest

from mmml.predict.inputs import Queries
from mmml.predict.model import Prediction
from mmml.predict.summary import PredictionSummary
from mmml.tasks.generation.scores import chrf
from tests.data.making import write_csv
from tests.predict.making import features
from tests.predict.test_model import GENERATION, model_of, with_texts


def tally_of(tmp_path, adapted, rows):
    """Of queries with these columns."""
    query = features(tmp_path / "q", [0] * len(rows), seed=0)
    write_csv(query / "metadata.csv", [{"id": f"q{i}"} | row for i, row in enumerate(rows)])
    return PredictionSummary(Queries(str(query), adapted.model.reading), adapted)


def told_of(summary, predictions, capsys, tmp_path):
    assert list(summary.watch(predictions)) == predictions
    summary.show("a title", tmp_path / "predictions.csv")
    return " ".join(capsys.readouterr().out.split())


def test_known_labels_and_unknown_ones_are_counted_apart(tmp_path, capsys):
    adapted = model_of().adapt(str(features(tmp_path / "s", [0, 1], seed=0)))
    summary = tally_of(tmp_path, adapted, [{"label": f"c{c}"} for c in (0, 1, 0, 1, 9, 9, 9, 0)])
    said = [
        ("c0", 0.9),
        ("c0", 0.5),
        ("c0", 1.0),
        (None, 0.6),
        (None, 0.5),
        ("c1", 0.6),
        ("c0", 0.8),
    ]
    predictions = [
        Prediction(f"q{i}", label=label, probability=p) for i, (label, p) in enumerate(said)
    ]
    message = told_of(
        summary, [*predictions, Prediction("q7", problem="it is damaged")], capsys, tmp_path
    )
    assert summary.right == [True, False, True, False] and summary.rejected == [True, False, False]
    assert "c0 4 0.80" in message and "c1 1 0.60" in message and "none of these 2" in message
    assert "right: 50.0% of the 4" in message and "rejected: 33.3% of the 3" in message
    assert "could not be read: 1 " in message


def test_errors_of_both_signs_do_not_cancel(tmp_path, capsys):
    root = features(tmp_path / "s", [0, 1, 2], seed=0)
    write_csv(root / "metadata.csv", [{"id": i, "score": i} for i in range(3)])
    options = ["task=regression", "episode=regression", "method/classifier=attention"]
    adapted = model_of(*options).adapt(str(root))
    summary = tally_of(tmp_path, adapted, [{"score": s} for s in ("2", "5", "")])
    predictions = [Prediction(f"q{i}", score=s) for i, s in enumerate((3.0, 2.0, 9.0))]
    message = told_of(summary, predictions, capsys, tmp_path)
    assert "mean absolute error: 2.000 over 2 queries" in message


def test_a_text_is_compared_with_the_right_one_and_not_the_right_one_with_it(tmp_path, capsys):
    said, right = "a red cat", "a red cat sat on the mat"
    adapted = model_of(*GENERATION, "method/classifier=attention").adapt(
        str(with_texts(tmp_path / "s"))
    )
    summary = tally_of(tmp_path, adapted, [{"text": right}])
    told_of(summary, [Prediction("q0", text=said)], capsys, tmp_path)
    assert summary.alike == [chrf(said, right)] and summary.alike[0] != pytest.approx(
        chrf(right, said), abs=0.1
    )
