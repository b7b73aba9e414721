"""Evaluation: evaluators fill one table of results, and give examples for the report."""

from mmml.evaluation.results import Result, ResultKey, Results

__all__ = ["Result", "ResultKey", "Results"]
