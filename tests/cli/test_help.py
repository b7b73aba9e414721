import re

from mmml.cli.help import help_text


def starred(*arguments):
    """The marked choice of each group."""
    lines = re.findall(
        r"^  ([\w/]+)=(.*)$", help_text(arguments).partition("Options (key=value)")[0], re.MULTILINE
    )
    marks = {
        group: [c[:-1] for c in choices.split(", ") if c.endswith("*")] for group, choices in lines
    }
    return {group: chosen[0] for group, chosen in marks.items() if chosen}


def test_presets_and_experiments_choose_among_other_groups():
    assert starred()["episode"] == "many_way" and "method/algorithm" not in starred()
    adapting = starred("method=learned_optimizer")
    assert (adapting["method/algorithm"], adapting["episode"]) == ("lstm", "many_way_fused")
    assert starred("method=learned_optimizer", "method/algorithm=maml")["trainer"] == "meta_batch"
    quadratic = starred("experiment=quadratic")
    assert (quadratic["problem"], quadratic["trainer"]) == (
        "quadratics",
        "unrolled",
    ) and "encoder" not in quadratic


def test_what_is_typed_wins():
    assert starred("method=learned_optimizer", "episode=standard")["episode"] == "standard"
    text = help_text(["method=learned_optimizer", "method.inner_steps=3"])
    assert "eval_inner_steps: null" in text and "override" not in text
