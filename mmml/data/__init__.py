"""Data: what samples hold, where they come from, and how files become arrays."""
