"""The processes that train one run together, named as in ``torch.distributed``."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from mmml.errors import UserError, require


@dataclass(frozen=True)
class World:
    """The position of this process among the processes of a run.

    Attributes:
        rank: the number of this process, from 0 to ``size`` − 1.
        size: the number of processes.
    """

    rank: int = 0
    size: int = 1

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> "World":
        """Read the rank and the size from ``RANK`` and ``WORLD_SIZE``, as set by ``torchrun``; one
        process if they are not set.

        Raises:
            UserError: a value is not an integer, or the rank is not below the size.
        """
        rank, size = (
            whole_number(environment, name, unset)
            for name, unset in (("RANK", 0), ("WORLD_SIZE", 1))
        )
        require(
            rank < size,
            "RANK",
            rank,
            f"less than WORLD_SIZE={size}, as torchrun sets them: unset both",
        )
        return World(rank, size)

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, the only process that writes, locks and reports."""
        return self.rank == 0

    def share(self, numbers: range) -> range:
        """Return this rank's part of consecutive numbers: every i with i ≡ rank (mod size)."""
        return numbers[(self.rank - numbers.start) % self.size :: self.size]


SINGLE_PROCESS = World()


def whole_number(environment: Mapping[str, str], name: str, unset: int) -> int:
    """Return the integer value of an environment variable, or a default if it is not set."""
    text = environment.get(name, str(unset))
    if not text.isdecimal():
        raise UserError(f"{name}={text} must be a whole number, as torchrun sets it: unset it")
    return int(text)
