import json

import fusions
import pytest


def point(mapping, mean, amount=None, corruption="all", metric="accuracy", percent=True, shots=1):
    told = {"mapping": mapping, "mean": mean, "amount": amount, "corruption": corruption, "metric": metric}
    return told | {"percent": percent, "ways": 20, "shots": shots}


def test_areas_are_read_as_they_are_shown_and_more_is_better():
    cell = {"metric": "accuracy", "higher_is_better": True}
    points = [point("a:a", 0.5), point("a:a", 0.9, amount=0.5), point("a:a", 0.7, corruption="noise")]
    harder = point("a:a", 0.3, shots=0)
    assert fusions.areas_of({"robustness": [*points, harder], "results": [cell]}) == {"a:a": 50.0}
    errors = [point("a:a", 0.8, metric="MAE", percent=False)]
    assert fusions.areas_of({"robustness": errors, "results": [{"metric": "MAE", "higher_is_better": False}]}) == {
        "a:a": -0.8
    }


def test_one_is_chosen_on_validation_and_compared_on_test(monkeypatch, capsys):
    validation = {"mean": 60.0, "concat": 61.0, "gated": 65.0, "attention": 64.0}
    asked = []

    def areas(name, fusion, seed, split):
        asked.append((fusion, seed, split))
        whole = validation[fusion] + seed if split == "val" else {"gated": 70.0, "concat": 66.0}[fusion] + 2 * seed
        return {"a:a": 50.0 + seed, "b:b": 60.0 + seed, "a+b:a+b": whole}

    monkeypatch.setattr(fusions, "areas", areas)
    assert fusions.main(["robust_glyphs", "3"]) == 0
    assert asked[:4] == [(f, 0, "val") for f in fusions.FUSIONS]
    assert asked[4:] == [(f, s, "test") for f in ("gated", "concat") for s in range(3)]
    printed = capsys.readouterr().out
    assert "gated is chosen" in printed
    assert "| a+b:a+b, gated | 72 ± 5 | 2 | 70, 72, 74 |" in printed
    assert "| better than b:b by | +11 ± 2.5 | 1 | +10, +11, +12 |" in printed
    assert "| better than concat by | +4 ± 0 | 0 | +4, +4, +4 |" in printed


@pytest.mark.parametrize("arguments", [["robust_glyphs", "1"], ["robust_glyphs", "two"]])
def test_a_spread_needs_two_seeds(arguments, capsys):
    assert fusions.main(arguments) == 2
    assert "two seeds or more" in capsys.readouterr().err


def test_a_fusion_is_judged_on_the_split_and_the_seed_that_are_asked_for(monkeypatch, tmp_path):
    asked = []

    def play(folder, wanted, overrides):
        asked.append([str(folder), *wanted.train, *overrides, *(o for os in wanted.evaluations.values() for o in os)])
        (name,) = wanted.evaluations
        cell = {"metric": "accuracy", "higher_is_better": True}
        (tmp_path / "result.json").write_text(json.dumps({"robustness": [point("a:a", 0.5)], "results": [cell]}))
        return {name: tmp_path}

    monkeypatch.setattr(fusions, "play", play)
    assert fusions.areas("robust_glyphs", "gated", 3, "val") == {"a:a": 50.0}
    (told,) = asked
    assert told[0] == "outputs/fusions/robust_glyphs/gated-seed3"
    assert {"encoder/fusion=gated", "seed=3", "robustness=true", "evaluation.robustness.split=val"} <= set(told)
