"""Loggers: programs that show a run's metrics elsewhere, beside ``metrics.jsonl``,
which is the truth.
"""

from mmml.training.loggers.base import Logger, check_loggers, loggers, open_loggers

__all__ = ["Logger", "check_loggers", "loggers", "open_loggers"]
