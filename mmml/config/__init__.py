"""The typed core of a config, its checks, and its composition. Imports no torch."""

from mmml.config.schema import Config, check_config

__all__ = ["Config", "check_config"]
