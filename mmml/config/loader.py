"""How Hydra loads configs here: what is chosen together may bring a file of its own, and a chosen part keeps its options.

**Pairs.** A group ``a/b`` of ``train.yaml`` whose ``a`` and ``b`` are groups themselves, such as ``method/task``, is not
chosen by the user: with ``method=M task=T`` the choice is ``conf/method/task/M/T.yaml``, where there is such a file. Like
an experiment it may hold values and ``override`` choices. (Hydra itself could write ``method/task: ${method}/${task}``,
but allows no ``override`` in a file that is chosen by interpolation.)

**Parts.** Options that an experiment or a preset sets for one part, such as ``method.update_rule.inputs`` for an LSTM,
are left out where the command line chooses a part that has no such option, such as ``method/update_rule=adam``.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import hydra._internal.hydra as hydra_internal
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import MISSING, DictConfig, OmegaConf, open_dict


class Loader(ConfigLoaderImpl):
    """Hydra's loader, which also heeds pairs and parts."""

    def load_configuration(
        self, config_name: str | None, overrides: list[str], run_mode: RunMode, *args: Any, **kwargs: Any
    ) -> DictConfig:
        chosen = self.compute_defaults_list(config_name, overrides, run_mode).overrides.known_choices
        pairs = [f"{group}={choice}" for group, choice in self.pairs(chosen)]
        config = super().load_configuration(config_name, [*pairs, *overrides], run_mode, *args, **kwargs)
        with open_dict(config):
            config.hydra.overrides.task = [o for o in config.hydra.overrides.task if o not in pairs]  # as typed
            for group, choice in config.hydra.runtime.choices.items():
                if choice is None and isinstance(OmegaConf.select(config, group), DictConfig):
                    config[group] = MISSING  # such as the mappings of a dataset in a run without episodes
            self._leave_out_options_of_others(config, overrides)
        return config

    def pairs(self, chosen: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
        """Each group ``a/b`` of choices ``a`` and ``b`` that have a file together, and its choice."""
        for group in chosen:
            first, _, second = group.partition("/")
            choice = f"{chosen.get(first)}/{chosen.get(second)}"
            if chosen[group] is None and second in chosen and self.repository.config_exists(f"{group}/{choice}"):
                yield group, choice

    def _leave_out_options_of_others(self, config: DictConfig, overrides: Sequence[str]) -> None:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        typed = {override.key_or_group for override in parsed}
        for override in parsed:
            group, choice = override.key_or_group, None if override.is_sweep_override() else override.value()
            if "/" not in group or not isinstance(choice, str):
                continue
            part, where = self.repository.load_config(f"{group}/{choice}"), group.replace("/", ".")
            section = OmegaConf.select(config, where)
            if part is None or part.defaults_list or not isinstance(section, DictConfig) or where in typed:
                continue
            for option in set(section) - set(part.config):
                if f"{where}.{option}" not in typed:
                    del section[option]


hydra_internal.ConfigLoaderImpl = Loader  # type: ignore[misc]  # Hydra has no other way to choose a loader
