"""Loggers: services that show a run's metrics elsewhere, besides ``metrics.jsonl``, which is
complete.
"""

from mmml.training.loggers.base import Logger, check_loggers, loggers, open_loggers

__all__ = ["Logger", "check_loggers", "loggers", "open_loggers"]
