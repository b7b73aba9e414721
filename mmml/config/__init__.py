"""The typed core options of a config, their checks, and composition by Hydra. Imports no torch."""

from mmml.config.schema import Config, ProblemConfig, check_config, check_run

__all__ = ["Config", "ProblemConfig", "check_config", "check_run"]
