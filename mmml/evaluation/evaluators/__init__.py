"""Evaluators. One file per evaluator."""
