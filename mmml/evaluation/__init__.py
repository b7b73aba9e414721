"""Evaluation: a list of evaluators that fill one table of results, and examples for the report."""

from mmml.evaluation.results import Result, ResultKey, Results

__all__ = ["Result", "ResultKey", "Results"]
