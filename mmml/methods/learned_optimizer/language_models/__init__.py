"""Language models that write texts from prefixes, one file each."""

from mmml.methods.learned_optimizer.language_models.base import (
    LanguageModel,
    Prefixes,
    language_models,
)

__all__ = ["LanguageModel", "Prefixes", "language_models"]
