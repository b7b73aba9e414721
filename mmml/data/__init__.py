"""Datasets: what samples hold, where they come from, and how files are decoded to arrays."""
