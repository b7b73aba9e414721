"""How Hydra loads configs here: two choices together may bring a file, and a chosen part has
only its own options.

**Pairs.** A group ``a/b`` of ``train.yaml`` whose ``a`` and ``b`` are groups themselves,
such as ``method/task``, is not chosen by the user: with ``method=M task=T`` the choice
is ``conf/method/task/M/T.yaml``, if there is such a file. Like an experiment it may
hold values and ``override`` choices. (Hydra itself could choose it by an interpolation,
``method/task: ${method}/${task}``, but allows no ``override`` in a file that is chosen so.)

**Parts.** Options that an experiment or a preset sets for one part, such as
``method.update_rule.inputs`` for an LSTM, are left out where the command line chooses a part that
has no such option, such as ``method/update_rule=adam``.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import hydra._internal.hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import IConfigRepository
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import MISSING, DictConfig, OmegaConf, open_dict


class Loader(ConfigLoaderImpl):
    """Hydra's loader, which also heeds pairs and parts."""

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
                    # For example, the mappings of a dataset in a run without episodes.
                    config[group] = MISSING
            leave_out_options_of_others(config, typed, files)
        return config


def pairs(chosen: Mapping[str, str | None], files: IConfigRepository) -> Iterator[tuple[str, str]]:
    """Each group ``a/b`` of choices ``a`` and ``b`` that have a file together, and its choice."""
    for group in chosen:
        first, _, second = group.partition("/")
        choice = f"{chosen.get(first)}/{chosen.get(second)}"
        if chosen[group] is None and second in chosen and files.config_exists(f"{group}/{choice}"):
            yield group, choice


def leave_out_options_of_others(
    config: DictConfig, typed: Sequence[Override], files: IConfigRepository
) -> None:
    """Remove options that neither the user nor the file of a typed part names, such as
    ``method/loss=triplet``.
    """
    keys = {override.key_or_group for override in typed}
    for override in typed:
        group = override.key_or_group
        choice = None if override.is_sweep_override() else override.value()
        where = group.replace("/", ".")
        # Several parts, whose sections stand beside one another.
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


# Hydra has no other way to choose a loader.
hydra._internal.hydra.ConfigLoaderImpl = Loader  # type: ignore[attr-defined]
