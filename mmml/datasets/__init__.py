"""Datasets: samples in columns, one file per dataset."""

from mmml.datasets.base import Column, Dataset, Per, Samples, datasets

__all__ = ["Column", "Dataset", "Per", "Samples", "datasets"]
