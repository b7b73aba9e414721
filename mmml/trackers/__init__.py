"""Trackers: programs that show a run's metrics elsewhere, beside ``metrics.jsonl``, which is the truth."""

from mmml.trackers.base import Tracker, check_trackers, trackers, tracking

__all__ = ["Tracker", "check_trackers", "trackers", "tracking"]
