"""Datasets: samples in columns, one file per dataset."""

from mmml.datasets.base import Column, Dataset, Granularity, OfficialEpisodes, Samples, datasets

__all__ = ["Column", "Dataset", "Granularity", "OfficialEpisodes", "Samples", "datasets"]
