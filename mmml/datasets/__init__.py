"""Datasets: samples in columns, one file per dataset."""

from mmml.datasets.base import Column, Dataset, Per, OfficialEpisodes, Samples, datasets

__all__ = ["Column", "Dataset", "Per", "OfficialEpisodes", "Samples", "datasets"]
