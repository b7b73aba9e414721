"""``dataset=omniglot``: 1,623 handwritten characters of 50 alphabets, as images
and as pen strokes.
"""

from mmml.data.datasets.omniglot.dataset import Omniglot

__all__ = ["Omniglot"]
