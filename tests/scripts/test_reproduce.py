import json
from pathlib import Path

import pytest
import reproduce
from readings import Score
from reproductions import REPRODUCTIONS, GridCell, Reproduction
from results import Figure, Published, load

from mmml.cli.mmml_eval import FIXED
from mmml.config import check_run
from mmml.config.compose import apply_overrides, compose_plain
from mmml.config.schema import ProblemConfig

CONF = Path(__file__).parents[2] / "conf" / "experiment"
ERROR = Figure("image:image", "error", "%", higher_is_better=False, value=5.0)


@pytest.mark.parametrize("name", REPRODUCTIONS)
def test_what_is_reproduced_are_runs_that_exist(name):
    wanted = REPRODUCTIONS[name]
    scores = [reading for reading in wanted.figures if isinstance(reading, Score)]
    # Other seeds and speakers differ in values alone.
    examples = {cell.group: cell for cell in wanted.cells.values()}
    for group, cell in examples.items():
        plain = compose_plain(list(cell.options))
        config = check_run(plain)
        for options in cell.evaluations.values():
            check_run(apply_overrides(plain, options, FIXED))
        played = (
            [config.problem["name"]] if isinstance(config, ProblemConfig) else mappings_of(config)
        )
        for score in (s for s in scores if s.group == group):
            assert " → " in score.mapping or {score.mapping, *score.beside} <= {*played}
            assert {*score.evaluations} <= {"test", *cell.evaluations} and {*score.against} <= {
                *examples
            }
    others = [
        option.split("/")[1]
        for cell in wanted.cells.values()
        for option in cell.options
        if "HOME/" in option
    ]
    assert {*others} <= {*wanted.cells}


def mappings_of(config):
    return [
        *config.episode.eval.mappings,
        *config.evaluation.evaluators.get("matching", {}).get("mappings", []),
    ]


@pytest.mark.parametrize(
    "name", [n for n, r in REPRODUCTIONS.items() if r.topic.startswith("applications")]
)
def test_every_application_is_a_command_that_its_experiment_names(name):
    """The header of the experiment shows each option."""
    (cell,) = REPRODUCTIONS[name].cells.values()
    experiment = next(o for o in cell.options if o.startswith("experiment="))
    files = [CONF / f"{e}.yaml" for e in experiment[11:].strip("[]").split(",")]
    head = "".join(
        line for file in files for line in file.read_text().splitlines(True) if line.startswith("#")
    )
    assert [
        o for o in cell.options if not o.startswith("encoder.text.model=") and o not in head
    ] == []


def test_every_speaker_is_left_out_with_every_digit():
    cells = REPRODUCTIONS["fsdd"].cells
    assert len(cells) == 30 and len({c.unit for c in cells.values()}) == 6
    assert sorted("".join(name.split("-")[1] for name in cells if name.startswith("theo-"))) == [
        *"0123456789"
    ]


def test_fusions_are_all_validated_and_two_are_tested_with_five_seeds():
    cells = REPRODUCTIONS["robust-glyphs"].cells
    assert {name for name, c in cells.items() if "robust-val" in c.evaluations} == {
        f"{fusion}-seed0" for fusion in ("mean", "concat", "gated", "attention")
    }
    tested = {name for name, c in cells.items() if "robust-test" in c.evaluations}
    assert tested == {f"{fusion}-seed{s}" for fusion in ("concat", "attention") for s in range(5)}


def test_a_figure_is_compared_with_what_is_published():
    def published(value, better=False):
        return Figure("a", "b", "%", better, 5.0, published=Published(value, None, "they"))

    assert [reproduce.is_worse(published(v)) for v in (4.0, 5.0, 6.0)] == [True, False, False]
    assert reproduce.is_worse(published(6.0, better=True)) and not reproduce.is_worse(ERROR)


def test_what_was_interrupted_goes_on_or_is_done_anew(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(reproduce.subprocess, "run", lambda command, check: ran.append(command[1:]))
    cell = GridCell(["experiment=x", "init_from=HOME/first"], {"views": ["evaluation.tta_views=8"]})
    run = tmp_path / "seed0"
    # Before its first checkpoint, and in an evaluation.
    (run / "eval" / "views").mkdir(parents=True)
    (run / "run.json").touch()
    reproduce.play(run, cell)
    assert ran.pop(0) == ["experiment=x", f"init_from={tmp_path}/first", f"hydra.run.dir={run}"]
    assert (
        ran.pop(0) == [f"checkpoint={run}", "name=views", "evaluation.tta_views=8"]
        and not run.exists()
    )
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "last.ckpt").touch()
    (run / "eval" / "views").mkdir(parents=True)
    reproduce.play(run, cell)
    assert (
        ran.pop(0) == [f"resume={run}"] and run.exists() and not (run / "eval" / "views").exists()
    )
    (run / "result.json").write_text('{"status": "completed"}')
    reproduce.play(run, cell)
    assert [command[0] for command in ran] == [f"checkpoint={run}"] * 2


@pytest.fixture
def two_seeds(tmp_path, monkeypatch):
    """A reproduction of two seeds that have been run; the second was resumed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("results.FOLDER", tmp_path)
    for seed in range(2):
        folder = reproduce.HOME / "x" / f"seed{seed}"
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps({"status": "completed", "seconds": 10}))
        (folder / "run.json").write_text(json.dumps({"git": "0123456789"}))
    (folder / "result.1.json").write_text(json.dumps({"seconds": 6}))
    cells = {f"seed{s}": GridCell([f"seed={s}"], unit=str(s)) for s in range(2)}

    def reading(found):
        return [
            Figure(
                "a", "error", "%", False, 4.0 + len(found), published=Published(5.5, None, "they")
            )
        ]

    monkeypatch.setitem(REPRODUCTIONS, "x", Reproduction("topic", "try", cells, [reading]))
    return tmp_path / "x.json"


def test_figures_are_recorded_with_how_they_came_about(two_seeds, capsys):
    assert reproduce.main(["x"]) == 1  # worse than published
    result = load(two_seeds)
    assert (result.seeds, result.commit, result.seconds) == ([0, 1], "0123456", 13)
    assert result.command == "python scripts/reproduce.py x" and result.figures[0].over == "seeds"
    row = "| try | a: error, % | 6.0 | 5.5 (they) | – | 0–1 | [`x`](results/x.json) | 0123456 |"
    assert row in capsys.readouterr().out


def test_a_part_of_the_cells_is_shown_and_not_recorded(two_seeds, capsys):
    assert reproduce.main(["x", "1"]) == 0
    assert "| 5.0 | 5.5 (they) |" in capsys.readouterr().out and not two_seeds.exists()


@pytest.mark.parametrize("arguments", [["glyph"], ["glyphs", "none"], ["glyphs", "0"]])
def test_what_cannot_be_meant_is_refused(arguments, capsys):
    assert reproduce.main(arguments) == 2
    assert (
        "is nothing to reproduce" in (err := capsys.readouterr().err)
        or "is no number of cells" in err
    )
