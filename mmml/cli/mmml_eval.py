"""``mmml-eval``: evaluate a finished run, or compare several."""

from typing import Any

from mmml.cli.arguments import refuse_stray, wants_help
from mmml.config.compose import path_list, take_option, with_data
from mmml.run_directory import timestamp

FIXED = ("seed", "encoder", "method", "init_from", "resume")

HELP = """\
mmml-eval: judge a finished run, on test classes that it never saw.

  mmml-eval checkpoint=RUN                          the best checkpoint of a run directory
  mmml-eval checkpoint=FILE.ckpt episode.eval.ways=20 evaluation.episodes=10000
  mmml-eval checkpoint=RUN name=twenty-way          write to RUN/eval/twenty-way/
  mmml-eval 'checkpoint=[RUN,RUN,FILE.ckpt]'        compare them, on the very same test episodes

Options are those of the run's own config (see RUN/config.yaml): episode.eval.*, evaluation.*,
trainer.device, and dataset.* or dataset=NAME to test it on other data. Written beside the
run: result.json, episodes.parquet (the score of every episode), examples.json, report.html.

Of several checkpoints, the first says what is played: its dataset, episode and evaluation
options, with those given here. All must have its dataset and task; a path with a comma stands
in quotes. Written to outputs/eval/NAME/, with differences.csv: every pair, episode by episode.
"""


def evaluate(arguments: list[str]) -> int:
    """Evaluate the checkpoint, or compare the checkpoints, that the arguments name; returns the
    exit code.
    """
    if wants_help(arguments):
        print(HELP, end="")
        return 0
    refuse_stray(arguments, "checkpoint")
    path, rest = take_option(arguments, "checkpoint")
    name, overrides = take_option(rest, "name", timestamp(), wanted="a plain folder name")
    paths = path_list(path)

    def change(config: dict[str, Any]) -> dict[str, Any]:
        return with_data(config, overrides, FIXED)

    if len(paths) > 1:
        from mmml.compare import compare

        return compare(path, name, overrides, change)
    from mmml.job import evaluate

    return evaluate(paths[0], name, overrides, change)
