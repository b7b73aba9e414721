"""``mmml-data``: inspect data, download datasets, and clean the cache."""

from mmml.cli.arguments import wants_help
from mmml.config.compose import take_option
from mmml.errors import UserError, did_you_mean
from mmml.files import expanded

HELP = """\
mmml-data: look at data before training on them, and download data of others.

  mmml-data check PATH                       what PATH holds, what is wrong with it, how to fix it
  mmml-data check PATH episode.eval.ways=2   whether these episodes can be played;
                                             any option of mmml-train may follow
  mmml-data show emoji dataset.size=64       what a dataset of mmml's has:
                                             classes, samples, modalities
  mmml-data get omniglot                     download a dataset; the same command
                                             goes on where it broke off
  mmml-data get omniglot dataset.root=DIR    into DIR/omniglot; else below $MMML_DATA
                                             or in the cache
  mmml-data cache                            where the cache is, and how large each kind of entry
  mmml-data cache clean                      remove all entries but downloads; files of others stay
  mmml-data cache clean image days=30        only one kind, and only what was not used for 30 days

PATH is a folder with metadata.csv, .jsonl or .parquet, such a file, or a folder of class folders.
check prints a table, writes data.html (data.page=FILE), and exits with 1 if training would fail;
get, if a part is left to be done.
"""

TAKES = {
    "check": "folder or manifest: mmml-data check PATH",
    "show": "dataset: mmml-data show NAME",
    "get": "dataset: mmml-data get NAME",
    "cache": "",
}


def data(arguments: list[str]) -> int:
    """Run the subcommand that the first argument names; returns the exit code."""
    if not arguments or wants_help(arguments):
        print(HELP, end="")
        return 0
    command, *rest = arguments
    if command not in TAKES:
        raise UserError(
            f"{command} is no command{did_you_mean(command, TAKES)} (known: {', '.join(TAKES)})"
        )
    paths = [a for a in rest if "=" not in a or expanded(a).exists()]  # or a folder with "="
    options = [a for a in rest if a not in paths]
    if command == "cache":
        from mmml.check.cache import cache

        return cache(paths, options)
    if len(paths) != 1:
        raise UserError(f"give one {TAKES[command]}" + (", options as key=value" if paths else ""))
    if command == "get":
        return _get(paths[0], options)
    if command == "show":
        from mmml.check.show import show

        return show(paths[0], options)
    from mmml.check.command import check

    return check(paths[0], *take_option(options, "data.page", "data.html", wanted="a file name"))


def _get(name: str, options: list[str]) -> int:
    from mmml.data.on_disk import get

    root, others = take_option(options, "dataset.root", "", wanted="a folder")
    if others:
        raise UserError(f"{others[0]}: mmml-data get takes dataset.root= alone")
    return get(name, root or None)
