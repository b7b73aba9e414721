"""Manifests as users write them, made up at random: for ``scripts/fuzz_manifests.py``."""
