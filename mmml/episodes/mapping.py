"""Mappings: the modalities of an episode's support set and of its queries."""

import collections.abc
from dataclasses import dataclass

from mmml.data.base import Granularity
from mmml.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Mapping:
    """A mapping such as ``image+text:image``: the support set has fused images and texts, the
    queries have images.
    """

    support: tuple[str, ...]
    query: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, where: str = "mapping") -> "Mapping":
        """Parse ``support:query``; each side is one modality, or several joined by ``+`` in any
        order.
        """
        sides = [tuple(part.strip() for part in side.split("+")) for side in str(text).split(":")]
        if len(sides) != 2 or not all(all(side) for side in sides):
            raise UserError(
                f"{where}: {text!r} is no mapping; write support:query, such as text:image "
                "or image+text:image"
            )
        for side in sides:
            if len(set(side)) < len(side):
                raise UserError(f"{where}: {text!r} names a modality twice on one side")
        return cls(*(tuple(sorted(side)) for side in sides))

    def __str__(self) -> str:
        return f"{'+'.join(self.support)}:{'+'.join(self.query)}"

    @property
    def modalities(self) -> set[str]:
        """Every modality on either side."""
        return {*self.support, *self.query}

    def check(
        self, modalities: collections.abc.Mapping[str, Granularity], dataset: str, where: str
    ) -> None:
        """Raise ``UserError`` for a modality that the dataset lacks, or one that belongs to classes
        and is on both sides.

        On both sides, such a modality would reveal the class of each query.
        """
        for modality in (*self.support, *self.query):
            if modality not in modalities:
                known = ", ".join(modalities)
                raise UserError(
                    f"{where}: {self} needs {modality!r}, which dataset {dataset} does not "
                    f"have{did_you_mean(modality, modalities)} (it has {known}; a command that "
                    f"fits stands in conf/dataset/{dataset}.yaml)"
                )
        both = [m for m in self.support if m in self.query and modalities[m] is Granularity.CLASS]
        if both:
            raise UserError(
                f"{where}: {self} has {both[0]!r} on both sides, and it is the same for a whole "
                "class: matching it would be the answer; leave it out on one side"
            )

    def per_class(self, modalities: collections.abc.Mapping[str, Granularity]) -> tuple[bool, bool]:
        """Whether the support set, and the queries, have only one item for each class."""
        return (
            all(modalities[m] is Granularity.CLASS for m in self.support),
            all(modalities[m] is Granularity.CLASS for m in self.query),
        )
