"""The siamese network: one encoder per modality into one space, and their fusion."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmml.datasets.base import MODALITIES
from mmml.encoders.base import encoders
from mmml.episodes import Examples
from mmml.errors import UserError, nearest, require
from mmml.registry import Registry, check_type

fusions = Registry("fusion", "mmml.encoders")


@fusions.register("mean")
class Mean(nn.Module):
    """The mean over the modalities present.

    Args:
        width: of the embeddings.
    """

    def __init__(self, width: int):
        super().__init__()

    def forward(self, parts: list[Tensor]) -> Tensor:
        """Embeddings of the modalities present, in alphabetical order, each ``[..., width]`` → ``[..., width]``."""
        return torch.stack(parts).mean(0)


class Embedder(nn.Module):
    """Embeds samples of any subset of its modalities.

    Args:
        encoders: by modality.
        fusion: embeddings of the modalities present → one embedding.
        normalize: scale each modality's embedding to length 1, so that none outweighs another.
    """

    def __init__(self, encoders: Mapping[str, nn.Module], fusion: nn.Module, normalize: bool):
        super().__init__()
        self.encoders = nn.ModuleDict(dict(encoders))
        self.fusion, self.normalize = fusion, normalize

    @property
    def device(self) -> torch.device:
        """Where the parameters are; the CPU if there are none."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    def encode(self, modality: str, raw: Any) -> Tensor:
        """Raw values of one modality → ``[n, width]`` in float32, whatever the encoder computes in."""
        x = self.encoders[modality].encode(raw).float()  # type: ignore[operator]
        return F.normalize(x, dim=-1) if self.normalize else x

    def fuse(self, examples: Examples) -> Tensor:
        """Encoded examples ``[B, ways, n, width]`` by modality → one embedding each, ``[B, ways * n, width]``."""
        n = examples.per_class
        parts = [v.expand(-1, -1, n, -1) for _, v in sorted(examples.values.items())]
        return (self.fusion(parts) if len(parts) > 1 else parts[0]).flatten(1, 2)


def build_embedder(options: Mapping[str, Any], modalities: Iterable[str], where: str = "encoder") -> Embedder:
    """Construct the encoders that a run needs.

    Args:
        options: ``width``, ``normalize``, ``fusion`` and one section per modality.
        modalities: those in use; the sections of others are left alone.
        where: the path of ``options`` in the config.
    """
    width, normalize = (options.get(k) for k in ("width", "normalize"))
    require(isinstance(width, int) and width > 0, f"{where}.width", width, "a positive whole number")
    check_type(normalize, bool, f"{where}.normalize")
    known = ("width", "normalize", "fusion", *MODALITIES)
    for key in options:
        if key not in known:
            raise UserError(f"{where}.{key} is no option{nearest(key, known)}")
    parts = {}
    for modality in sorted(modalities):
        section = dict(options[modality]) if isinstance(options.get(modality), Mapping) else {}
        name = section.pop("name", None)
        if name is None:
            raise UserError(
                f"{where}.{modality} is missing: a mapping uses {modality}, and this encoder has none for it"
            )
        encoder = encoders.build(name, section, f"{where}.{modality}", width=width)
        if encoder.modality != modality:
            raise UserError(f"{where}.{modality}.name={name} is an encoder of {encoder.modality}, not of {modality}")
        parts[modality] = encoder
    fusion = fusions.build(options["fusion"], {}, where, f"{where}.fusion", width=width)
    return Embedder(parts, fusion, bool(normalize))
