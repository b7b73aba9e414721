"""Datasets, one file each; ``dataset=NAME`` names one."""
