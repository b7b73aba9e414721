"""The typed core of a config, its checks, and its composition. Imports no torch."""

from mmml.config.schema import Config, ProblemConfig, check_config, check_run

__all__ = ["Config", "ProblemConfig", "check_config", "check_run"]
