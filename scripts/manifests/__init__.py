"""Random manifests, as users write them, for ``scripts/fuzz_manifests.py``."""
