"""mmml: multimodal meta-learning from the command line; ``mmml.load`` uses a finished run from
Python.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmml.predict import Model

__version__ = "0.1.0"


def load(checkpoint: str, device: str = "auto") -> "Model":
    """Load a finished run (its directory, or a checkpoint file), ready to adapt to new classes.

    Use it as ``mmml.load(checkpoint).adapt(support).predict(query)``; see
    :mod:`mmml.predict.model`.

    Raises:
        UserError: there is no checkpoint, or it cannot be read.
    """
    from mmml.predict import load  # imports torch

    return load(checkpoint, device)
