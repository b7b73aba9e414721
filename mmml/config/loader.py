"""A config loader for Hydra with two more rules, for pairs of choices and for chosen parts.

**Pairs.** A group ``a/b`` of ``train.yaml`` whose ``a`` and ``b`` are also groups, such as
``method/task``, is not chosen by the user: ``method=M task=T`` chooses
``conf/method/task/M/T.yaml``, if this file exists. Like an experiment, it may have values and
``override`` choices. (Hydra could choose it by an interpolation,
``method/task: ${method}/${task}``, but does not allow ``override`` in such a file.)

**Parts.** An experiment or a preset may set options of one part, such as
``method.update_rule.inputs`` for an LSTM. They are removed if the command line chooses a part
without such an option, such as ``method/update_rule=adam``.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import hydra._internal.hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository, IConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import MISSING, DictConfig, OmegaConf, open_dict

from mmml.config.folders import conf_dirs


class Files(ConfigRepository):
    """Hydra's config files, each parsed once per process: parsing is a third of a composition."""

    parsed: ClassVar[dict[tuple[str, ...], ConfigResult | None]] = {}

    def load_config(self, config_path: str) -> ConfigResult | None:
        key = (config_path, *(source.full_path() for source in self.get_sources()))
        found = self.parsed.get(key) or super().load_config(config_path)
        self.parsed[key] = found
        return copy.deepcopy(found)


class Loader(ConfigLoaderImpl):
    """Hydra's config loader with the rules for pairs and parts."""

    def __init__(self, config_search_path: ConfigSearchPath):
        for folder in conf_dirs()[1:]:
            config_search_path.prepend("mmml.parts", f"file://{folder}", "schema")
        super().__init__(config_search_path)
        self.repository = Files(config_search_path)

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        *args: Any,
        **kwargs: Any,
    ) -> DictConfig:
        typed, files = self._parse_overrides_and_create_caching_repo(config_name, overrides)
        chosen = self.compute_defaults_list(
            config_name, overrides, run_mode
        ).overrides.known_choices
        paired = [f"{group}={choice}" for group, choice in pairs(chosen, files)]
        config = super().load_configuration(
            config_name, [*paired, *overrides], run_mode, *args, **kwargs
        )
        with open_dict(config):
            config.hydra.overrides.task = [
                o for o in config.hydra.overrides.task if o not in paired
            ]  # as typed
            for group, choice in config.hydra.runtime.choices.items():
                if choice is None and isinstance(OmegaConf.select(config, group), DictConfig):
                    # For example, a run without episodes needs no mappings of a dataset.
                    config[group] = MISSING
            leave_out_options_of_others(config, typed, files)
        return config


def pairs(chosen: Mapping[str, str | None], files: IConfigRepository) -> Iterator[tuple[str, str]]:
    """Yield each group ``a/b`` whose choices of ``a`` and ``b`` have a common file, and this file's
    name.
    """
    for group in chosen:
        first, _, second = group.partition("/")
        choice = f"{chosen.get(first)}/{chosen.get(second)}"
        if chosen[group] is None and second in chosen and files.config_exists(f"{group}/{choice}"):
            yield group, choice


def leave_out_options_of_others(
    config: DictConfig, typed: Sequence[Override], files: IConfigRepository
) -> None:
    """Remove options that belong neither to the command line nor to the file of a part that the
    command line chooses, such as ``method/loss=triplet``.
    """
    keys = {override.key_or_group for override in typed}
    for override in typed:
        group = override.key_or_group
        choice = None if override.is_sweep_override() else override.value()
        where = group.replace("/", ".")
        # A list of parts, each with a section of its own.
        if "/" in group and isinstance(choice, list):
            section = OmegaConf.select(config, where.rpartition(".")[0])
            for name in [
                n
                for n, part in section.items()
                if isinstance(part, DictConfig) and "name" not in part
            ]:
                if not any(key.startswith(f"{where.rpartition('.')[0]}.{name}.") for key in keys):
                    del section[name]
            continue
        if "/" not in group or where in keys or not isinstance(choice, str):
            continue
        part, section = files.load_config(f"{group}/{choice}"), OmegaConf.select(config, where)
        if part is not None and not part.defaults_list and isinstance(section, DictConfig):
            for option in set(section) - set(part.config):
                if f"{where}.{option}" not in keys:
                    del section[option]


# Hydra has no public way to replace its loader.
hydra._internal.hydra.ConfigLoaderImpl = Loader  # type: ignore[attr-defined]
