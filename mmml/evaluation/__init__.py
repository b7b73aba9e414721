"""Evaluation: a list of evaluators, one table of results with intervals, and what
a report shows besides.
"""

from mmml.evaluation.results import Result, ResultKey, Results

__all__ = ["Result", "ResultKey", "Results"]
