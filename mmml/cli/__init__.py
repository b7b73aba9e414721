"""The console scripts. They import torch only when it is needed, so that ``--help`` is fast."""

import sys

from mmml.cli import mmml_data, mmml_eval, mmml_predict, mmml_report, mmml_train
from mmml.cli.guard import guarded


def train() -> None:
    """``mmml-train``."""
    sys.exit(guarded("mmml-train", mmml_train.train))


def evaluate() -> None:
    """``mmml-eval``."""
    sys.exit(guarded("mmml-eval", mmml_eval.evaluate))


def predict() -> None:
    """``mmml-predict``."""
    sys.exit(guarded("mmml-predict", mmml_predict.predict))


def data() -> None:
    """``mmml-data``."""
    sys.exit(guarded("mmml-data", mmml_data.data))


def report() -> None:
    """``mmml-report``."""
    sys.exit(guarded("mmml-report", mmml_report.report))
