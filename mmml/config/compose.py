"""Composition of configs from ``conf/``, overrides of a finished run's config, and explanations of
Hydra's errors.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError

import mmml.config.loader
import mmml.config.schema  # noqa: F401  (registers the schema that train.yaml builds on)
from mmml.config.folders import choices, conf_dir, is_group
from mmml.errors import UserError, did_you_mean
from mmml.files import expanded

PATH_OPTIONS = {"resume", "init_from", "checkpoint", "hydra.run.dir", "hydra.sweep.dir"}
PATH_OPTIONS |= {"dataset.root", "dataset.features", "predict.output", "predict.features"}
# The values are paths, or names on a model hub.
MODEL_OPTIONS = re.compile(r"(encoder\.\w+|method\.language_model)\.(model|weights)")
# Stored in configs, and so made absolute.
STORED_PATHS = ("dataset.root", "init_from")
MOVED = ("dataset.root", "dataset.features")  # paths that may change after training
# Options of fixed sections that training does not depend on.
NOT_LEARNED = re.compile(
    r"method[./]classifier(\.\w+)*|method\.language_model\.(decoding|beams|temperature)"
)


def quote_paths(arguments: Sequence[str]) -> list[str]:
    """Quote the values of path options, so that paths may contain spaces, brackets and ``=``.

    Several paths of a sweep (``a,b`` or ``choice(a,b)``, with ``-m`` among the arguments) are
    quoted separately.
    """
    sweeps = bool({"-m", "--multirun"} & set(arguments))

    def quoted(argument: str) -> str:
        key, equals, value = argument.partition("=")
        is_path = key in PATH_OPTIONS or (bool(MODEL_OPTIONS.fullmatch(key)) and is_model(value))
        if not equals or not is_path or value[:1] in ("'", '"') or value in ("", "null", "???"):
            return argument
        several = re.sub(r"^choice\((.*)\)$", r"\1", value).split(",")
        if not sweeps or len(several) == 1 or expanded(value).exists():
            several = [value]
        return f"{key}=" + ",".join(quoted_path(key, path.strip()) for path in several)

    return [quoted(a) for a in arguments]


def quoted_path(key: str, path: str) -> str:
    """Return a path in quotes; paths that configs store are made absolute."""
    if key in STORED_PATHS or MODEL_OPTIONS.fullmatch(key):
        path = str(expanded(path).absolute())
    elif re.match("~[^/]*/", path):
        path = str(expanded(path))
    return "'" + re.sub(r"(\\*)'", r"\1\1\\'", path) + "'"


def is_model(value: str) -> bool:
    """Whether a value is the path of a file or of a model's folder; a plain name that is also a
    folder's does not count.
    """
    path = expanded(value)
    named = "/" in value or value[:1] in ("~", ".")
    return path.is_file() or (path.is_dir() and (named or (path / "config.json").exists()))


def apply_overrides(
    config: dict[str, Any], overrides: Sequence[str], fixed: Sequence[str]
) -> dict[str, Any]:
    """Return a finished run's resolved config with some options changed.

    Args:
        config: plain values.
        overrides: ``key=value`` as on the command line; ``group=choice`` replaces a whole section
            by the options of that choice.
        fixed: sections that may not change.

    Raises:
        UserError: an override is unknown, fixed, a sweep, or not ``key=value``.
    """
    changed = OmegaConf.create(config)
    overrides = quote_paths(overrides)
    try:
        parsed = parse(overrides)
    except HydraException as error:
        raise UserError(explain(error, overrides)) from None
    # Choices first, since options of a choice may follow on the command line.
    for text, override in sorted(
        zip(overrides, parsed, strict=True), key=lambda o: "/" not in o[1].key_or_group
    ):
        key = override.key_or_group
        if override.is_sweep_override() or override.is_delete() or override.is_add():
            raise UserError(f"{text}: a finished run takes plain key=value options only")
        section = re.split(r"[./]", key)[0]
        if section in fixed and not (
            MODEL_OPTIONS.fullmatch(key) or key in MOVED or NOT_LEARNED.fullmatch(key)
        ):
            raise UserError(
                f"{text}: {section} belongs to the finished run and cannot change; "
                "train a new run instead"
            )
        if "/" in key and section in config and is_group(key):
            value = override.value()
            if isinstance(value, list):
                OmegaConf.update(
                    changed,
                    section,
                    with_parts(plain(changed)[section], text, section),
                    merge=False,
                )
            else:
                OmegaConf.update(
                    changed, key.replace("/", "."), options_of(key, str(value)), merge=False
                )
            continue
        known = list(dotted_keys(plain(changed)))
        if key not in known:
            raise UserError(f"{key} is no option of this run{did_you_mean(key, known)}")
        value = override.value()
        if (
            "." in key
            and isinstance(OmegaConf.select(changed, key), DictConfig)
            and isinstance(value, str | bool)
        ):
            inside = next((k for k in known if k.startswith(f"{key}.")), key)
            raise UserError(f"{text}: {key} is a section; set an option of it, such as {inside}")
        if key in config and isinstance(config[key], dict) and isinstance(value, str):
            value = compose_plain([*named_choices(config), text])[key]
        OmegaConf.update(changed, key, value, merge=False)
    return plain(changed)


def with_parts(options: dict[str, Any], text: str, section: str) -> dict[str, Any]:
    """Return a section with other parts, such as ``evaluation/evaluators=[few_shot,gallery]``.

    Parts that the section already has keep their options; all other options stay.
    """
    chosen = {k: v for k, v in compose_plain([text])[section].items() if isinstance(v, dict)}
    kept = {k: v for k, v in options.items() if not isinstance(v, dict)}
    return kept | {k: options.get(k, v) for k, v in chosen.items()}


def named_choices(config: dict[str, Any]) -> list[str]:
    """Return the overrides for a config's dataset, method and task, since other choices may depend
    on them.
    """
    named = [
        (group, s["name"]) for group, s in config.items() if isinstance(s, dict) and "name" in s
    ]
    return [f"{group}={name}" for group, name in named if name in choices(group)]


def options_of(group: str, name: str) -> dict[str, Any]:
    """Return the options of a choice whose file contains only options, such as
    ``method/classifier=ridge``.
    """
    files = choices(group)
    if name not in files:
        raise UserError(no_choice(group, name, list(files)))
    return plain(OmegaConf.load(files[name]))  # type: ignore[arg-type]


def no_choice(group: str, name: str, known: list[str]) -> str:
    """Return the message for an unknown choice."""
    return (
        f"{group}={name}: there is no such choice{did_you_mean(name, known)} (known: "
        f"{', '.join(known)})"
    )


def with_data(
    config: dict[str, Any], overrides: Sequence[str], fixed: Sequence[str]
) -> dict[str, Any]:
    """Do the same as :func:`apply_overrides`, for a run that needs its data.

    Raises:
        UserError: also if ``dataset.root`` does not exist.
    """
    changed = apply_overrides(config, overrides, fixed)
    root = (changed.get("dataset") or {}).get("root")
    if root is not None and not expanded(root).exists():
        raise UserError(
            f"dataset.root={root} does not exist: add dataset.root=NEW, the folder or table "
            "where the data are now"
        )
    return changed


def plain(config: DictConfig) -> dict[str, Any]:
    """Return a config as plain values, with interpolations resolved and without groups that have no
    choice.
    """
    values = OmegaConf.to_container(config, resolve=True)
    assert isinstance(values, dict)
    return {str(k): v for k, v in values.items() if v != MISSING}


def parse(overrides: Sequence[str]) -> list[Override]:
    """Parse overrides by Hydra's grammar; raises a ``HydraException`` for invalid ones."""
    return OverridesParser.create().parse_overrides(overrides=list(overrides))


def compose_plain(overrides: Sequence[str], name: str = "train") -> dict[str, Any]:
    """Return a composed and resolved config as plain values, by default that of a training run."""
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return plain(compose(name, quote_paths(overrides)))
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise UserError(explain(error, overrides, name)) from None


def dotted_keys(config: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield every section and option of a config, such as ``trainer``, ``trainer.steps``."""
    for key, value in config.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from dotted_keys(value, f"{prefix}{key}.")


def explain(error: BaseException, overrides: Sequence[str], name: str = "train") -> str:
    """Explain an error of Hydra or OmegaConf in one sentence, with the nearest existing option."""
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override} cannot be read: write key=value, and quote values with "
            "special characters"
        )
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{mark.name}: line {mark.line + 1} cannot be read as YAML ({error.problem})"
    given = {text: override for text in overrides if (override := readable(text)) is not None}
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, chosen = error.missing_cfg_file.rpartition("/")
        for override in given.values():  # the value may be a path instead of a name
            if f"{override.key_or_group}/{override.value()}" == error.missing_cfg_file:
                group, chosen = override.key_or_group, str(override.value())
        return no_choice(group, chosen, list(error.options))
    for override in given.values():  # of a list of choices, Hydra does not name the wrong one
        several = override.value() if is_group(override.key_or_group) else None
        known = choices(override.key_or_group)
        if isinstance(several, list) and (wrong := [n for n in several if n not in known]):
            return no_choice(override.key_or_group, str(wrong[0]), list(known))
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(cause, OmegaConfBaseException) and cause.full_key:
        key, reason = cause.full_key, first_lines(cause, 1)
        if isinstance(cause, ConfigAttributeError | ConfigKeyError):
            return explain_unknown(key, overrides, name)
        if not reason.startswith(("Value", "Interpolation")):
            reason = (
                "the value does not fit this option (a list is written [a,b]); "
                "see mmml-train --help"
            )
        return f"{next((t for t, o in given.items() if o.key_or_group == key), key)}: {reason}"
    # Hydra gives no structured information on these errors.
    if unknown := re.search(r"Could not override '([^']+)'", str(error)):
        return explain_unknown(unknown[1], overrides, name)
    for text, override in given.items():
        if "--multirun" in str(error) and override.is_sweep_override():
            return f"{text}: several values are a sweep, with -m; a list is written [a,b]"
        if "Config group override" in str(error) and override.value() is None:
            return f"{text}: name a choice, or leave it out"
    return first_lines(error)


def readable(text: str) -> Override | None:
    """Parse an argument by Hydra's grammar; None if it is invalid."""
    try:
        return parse(quote_paths([text]))[0]
    except HydraException:
        return None


def explain_unknown(key: str, overrides: Sequence[str], name: str) -> str:
    """Return the message for an unknown option or choice."""
    parent, child = re.split(r"[./]", key)[0], key.partition("/")[2]
    if child and is_group(key):
        owners = [f"{parent}={n}" for n, file in choices(parent).items() if leaves(file, child)]
        return (
            f"{key}: the chosen {parent} leaves no choice of that; choose one that does: "
            f"{' or '.join(owners)}"
        )
    if leaves(conf_dir() / f"{name}.yaml", parent) and (others := choices_with(key)):
        return f"{key} belongs to {' or '.join(others)}, which is not chosen"
    groups = [o for o in overrides if is_group(o.partition("=")[0])]
    try:
        composed = compose_plain(groups, name)
    except UserError:  # a choice of --config-dir, say
        composed = compose_plain([], name)
    return f"{key} is no option{did_you_mean(key, dotted_keys(composed))}"


def choices_with(key: str) -> list[str]:
    """Return the choices that have an option such as ``task.threshold``, in the form
    ``task=regression``.
    """
    section, _, option = key.rpartition(".")
    for name, file in choices("evaluation/evaluators").items():  # their sections stand elsewhere
        if file.read_text().startswith((f"# @package {section}\n", f"# @package {key}\n")):
            return [f"evaluation/evaluators=[{name}]"]
    group = section.replace(".", "/")
    line = re.compile(rf"^({re.escape(group)}:\n(  .*\n)*?  )?{re.escape(option)}:", re.MULTILINE)
    found = choices(group) if group else {}
    return [f"{group}={n}" for n, f in found.items() if line.search(f.read_text())]


def leaves(file: Path, group: str) -> bool:
    """Whether a config file chooses from a group, such as ``method``."""
    return (
        re.search(rf"^ +- (override )?/?{re.escape(group)}:", file.read_text(), re.MULTILINE)
        is not None
    )


def first_lines(error: BaseException, count: int = 2) -> str:
    """Return the beginning of an error's message, on one line."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return " ".join(lines[:count])[:300] or type(error).__name__


def take_option(
    arguments: list[str],
    key: str,
    default: str | None = None,
    wanted: str = "a run directory or a checkpoint file",
) -> tuple[str, list[str]]:
    """Return the value of ``key=…`` exactly as typed, and the other arguments.

    Raises:
        UserError: the value is empty, or there is none and no default.
    """
    values = [a.partition("=")[2] for a in arguments if a.startswith(f"{key}=")]
    value = values[-1] if values else default
    if value is None or (values and not value):
        others = [name for a in arguments if (name := a.partition("=")[0]) != key]
        near = did_you_mean(key, others).replace("did you mean", "was it meant by")
        raise UserError(f"{key}= needs {wanted}{near}")
    others = [a for a in arguments if not a.startswith(f"{key}=")]
    return value, others


LISTED = re.compile(r"""\s*('[^']*'|"[^"]*"|[^,]*?)\s*,""")


def path_list(value: str) -> list[str]:
    """Return the paths of a list ``[a,b]``; any other value, or an existing path, is a single path.

    Spaces next to commas are ignored. A path that contains a comma must be quoted.
    """
    listed = value[:1] == "[" and value[-1:] == "]"
    with suppress(OSError):  # a list may be too long for a path
        listed = listed and not expanded(value).exists()
    if not listed:
        return [value]
    paths = [
        p[1:-1] if p[:1] in ("'", '"') and p[-1:] == p[:1] else p
        for p in LISTED.findall(value[1:-1] + ",")
    ]
    if not all(paths):
        raise UserError(f"checkpoint={value} lists an empty path: write checkpoint=[RUN,RUN]")
    return paths
