"""``mmml-report``: write the report of a run, or the summary of a sweep, again."""

from pathlib import Path

from mmml.cli.arguments import wants_help
from mmml.errors import UserError
from mmml.files import expanded

HELP = """\
mmml-report: write the report of a run, or the summary of a sweep, anew from its files.

  mmml-report RUN      RUN/report.html
  mmml-report SWEEP    SWEEP/summary.csv and summary.md
"""


def report(arguments: list[str]) -> int:
    """Write the report or summary of the folder in the arguments; returns the exit code, 1 if a run
    of a sweep did not complete.
    """
    if wants_help(arguments):
        print(HELP, end="")
        return 0
    if len(arguments) != 1:
        raise UserError("give one folder, a run or a sweep: mmml-report RUN")
    folder = expanded(arguments[0])
    from mmml.reporting import write_report
    from mmml.reporting.sweep import is_sweep

    if is_sweep(folder):
        return 1 if summarise(folder) else 0
    print(write_report(folder))
    return 0


def summarise(sweep: Path) -> int:
    """Write the tables of a sweep; returns how many of its runs did not complete."""
    from mmml.reporting.sweep import summarise

    summary = summarise(sweep)
    if summary.runs:
        print(f"\n{summary.short}\nsummary: {sweep / 'summary.md'}")
    return summary.failed
