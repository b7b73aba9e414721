"""``mmml-data check``: the command, which prints tables and writes a page."""

import shlex
from collections.abc import Callable

from mmml.check.episodes import (
    check_episodes,
    known_classes,
    suggest,
    too_few,
    unlabelled,
    without_queries,
)
from mmml.check.issues import inspect
from mmml.check.page import print_inspection, write_page
from mmml.config import Config, check_config
from mmml.config.compose import compose_plain
from mmml.data.base import datasets
from mmml.data.datasets.manifest import Manifest
from mmml.data.manifest.splitting import BY_SAMPLE
from mmml.errors import UserError
from mmml.files import check_target, expanded
from mmml.tasks import Task, tasks
from mmml.terminal import plain_console


def check(path: str, page: str, overrides: list[str]) -> int:
    """Inspect a manifest, print the result and write a page; returns the exit code, 1 if training
    would fail.

    Args:
        path: a manifest or a folder.
        page: path of the HTML page to write.
        overrides: options of the planned training run.
    """
    target = expanded(page)
    check_target(target, "data.page")
    named = {o.partition("=")[0] for o in overrides}
    if "dataset" in named:
        raise UserError("mmml-data check looks at manifests: leave dataset= out")
    fixed = ["dataset=manifest", f"dataset.root={expanded(path).absolute()}"]
    make = maker([*fixed, *overrides])
    dataset = make()
    choice = [] if "task" in named else [f"task={meant(dataset)}"]
    meant_run = composed([*fixed, *choice, *overrides])
    task: Task = tasks.build_section(meant_run.task, "task")
    known = None if "dataset.split_by" in named else known_classes(dataset, task.min_ways)
    if known is not None:
        fixed.append(BY_SAMPLE)
        make = maker([*fixed, *overrides])
        dataset = make()
    inspection = inspect(make, meant_run.dataset["on_bad_sample"] == "skip")
    extra = [o for o in suggest(dataset, inspection, task) if o.partition("=")[0] not in named]
    config = composed([*fixed, *extra, *overrides])
    found = [*too_few(inspection, task.min_ways)] or [*unlabelled(inspection, task.min_ways)]
    found += without_queries(dataset)
    if inspection.samples and not any(f.stops for f in found):
        found += check_episodes(make, config, task)
    inspection.found += [*([known] if known else []), *found]
    inspection.found.sort(key=lambda f: not f.stops)
    inspection.command = shlex.join(["mmml-train", *fixed, *extra, *overrides])
    print_inspection(inspection, plain_console())
    write_page(inspection, target)
    print(f"page: {target}")
    return 1 if inspection.stops else 0


def composed(overrides: list[str]) -> Config:
    """Compose and check the config of a training run."""
    return check_config(compose_plain(overrides))


def maker(overrides: list[str]) -> Callable[[], Manifest]:
    """Return a function that builds the manifest of a training run, which is not loaded yet and
    leaves bad rows out.
    """
    section = composed(overrides).dataset | {"on_bad_sample": "skip"}

    def make() -> Manifest:
        manifest: Manifest = datasets.build_section(section, "dataset")
        return manifest

    return make


def meant(dataset: Manifest) -> str:
    """The name of the task that a table's columns suggest: regression for scores, generation for
    texts with source texts, else classification.
    """
    if dataset.rows.has("score"):
        return "regression"
    return "generation" if {"text", "source_text"} <= set(dataset.modalities) else "classification"
