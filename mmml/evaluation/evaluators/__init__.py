"""Evaluators: what is measured of every learner that plays along. One file per evaluator."""
