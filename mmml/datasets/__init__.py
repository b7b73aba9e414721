"""Datasets: samples in columns, one file per dataset."""

from mmml.datasets.base import Column, Dataset, OfficialEpisodes, Per, Samples, datasets

__all__ = ["Column", "Dataset", "OfficialEpisodes", "Per", "Samples", "datasets"]
