"""The embedder: one encoder for each modality into a shared space (a siamese network), and their
fusion.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from mmml.data.base import MODALITIES, Samples, base_modality
from mmml.data.column import Column, filled
from mmml.encoders.base import CHUNK, Encoder, encoders
from mmml.encoders.fusion import Fusion, Mean, fusions
from mmml.episodes import ExampleSet
from mmml.errors import UserError, did_you_mean, require
from mmml.registry import check_type
from mmml.similarity.distances import unit

COUNTED = 10_000  # the number of values whose lengths are checked


class Embedder(nn.Module):
    """Embeds samples that have any subset of the modalities.

    Args:
        encoders: the encoder of each modality.
        fusion: combines the embeddings of the modalities of a sample into one.
        normalize: whether the embedding of each modality is scaled to length 1, so that all have
            the same influence.
        width: of the embeddings; None if it depends on the data.
    """

    def __init__(
        self,
        encoders: Mapping[str, nn.Module],
        fusion: Fusion,
        normalize: bool,
        width: int | None = None,
    ):
        super().__init__()
        self.width = width
        self.encoders = nn.ModuleDict(dict(encoders))
        self.fusion, self.normalize = fusion, normalize
        # This buffer moves with the module, which may have no parameters.
        self.register_buffer("_place", torch.empty(0), persistent=False)

    def items(self) -> list[tuple[str, Encoder]]:
        """Return pairs of modality and encoder."""
        return [(m, cast(Encoder, e)) for m, e in self.encoders.items()]

    @property
    def frozen(self) -> bool:
        """Whether no parameter is trained."""
        return not any(p.requires_grad for p in self.parameters())

    def frozen_parts(self) -> list["Embedder"]:
        """Return the frozen pretrained parts as embedders on the same device, one for each
        embedding space.
        """
        spaces: dict[str, dict[str, Encoder]] = {}
        for modality, encoder in self.items():
            if (found := encoder.frozen_part()) is not None:
                spaces.setdefault(found[0], {})[modality] = found[1]
        return [
            Embedder(parts, Mean(list(parts)), normalize=True).to(self.device)
            for parts in spaces.values()
        ]

    def load_encoders(self, other: "Embedder") -> None:
        """Copy the parameters and buffers of another embedder with the same architecture.

        They are matched by order and not by name, because here layers may be wrapped in others
        (:class:`mmml.methods.learned_optimizer.norm.TaskNorm`).

        Raises:
            ValueError: the other embedder lacks a modality, or a shape differs.
        """
        pairs = [
            (m, encoder, other.encoders[m]) for m, encoder in self.items() if m in other.encoders
        ]
        if lacking := sorted({m for m, _ in self.items()} - {m for m, _, _ in pairs}):
            raise ValueError(f"there is none of {lacking[0]}")
        for name, own, source in [*pairs, ("fusion", self.fusion, other.fusion)]:
            into, values = own.state_dict(), list(source.state_dict().values())
            if list(map(_shape, into.values())) != list(map(_shape, values)):
                raise ValueError(f"encoder.{name} has other shapes")
            own.load_state_dict(dict(zip(into, values, strict=True)))

    def fit(self, samples: Samples) -> None:
        """Fit the preprocessing of each encoder (a vocabulary, a scale) to the training split."""
        for modality, encoder in self.items():
            encoder.fit(samples.columns[modality].present)

    def cut(self, values: Mapping[str, Any]) -> list[str]:
        """Return a message for each modality with values that are too long and therefore truncated.

        Args:
            values: the values of each modality; they have a length and give raw batches by
                ``values[i:j]``. Only the first ``COUNTED`` are checked.
        """
        notes = []
        for modality, encoder in self.items():
            some = values.get(modality, ())
            found = [
                encoder.lengths(some[i : i + CHUNK])
                for i in range(0, min(len(some), COUNTED), CHUNK)
            ]
            lengths = np.array([n for part in found if part for n in part[0]])
            most = next((part[1] for part in found if part), 0)
            if len(lengths) and lengths.max() > most:
                cut_off = (lengths - most).clip(0).sum() / lengths.sum()
                notes.append(
                    f"{(lengths > most).sum():,} of {len(lengths):,} {modality}s are longer than "
                    f"encoder.{modality}.max_length reads, and {cut_off:.0%} of all is lost; "
                    f"the longest is {lengths.max():,}"
                )
        return notes

    @property
    def device(self) -> torch.device:
        """The device of the embeddings, even if no encoder has parameters."""
        return self.get_buffer("_place").device

    def encode(self, modality: str, batch: Column) -> Tensor:
        """Return the embeddings of n values of one modality, float32 ``[n, width]``, zero for
        missing values.
        """
        encoder, values = cast(Encoder, self.encoders[modality]), batch.present[:]
        if not len(values):
            return torch.zeros(len(batch), self.width or 1, device=self.device)
        embedded = encoder(values.to(self.device)) if batch.prepared else encoder.encode(values)
        x = embedded.float().to(self.device)
        return filled(unit(x) if self.normalize else x, batch.mask)

    def prepare(self, modality: str, batch: Column) -> Tensor:
        """Return the preprocessed input of a modality's encoder for n values, ``[n, …]``, without a
        gradient.

        Raises:
            UserError: the column has a mask, so that values may be missing.
        """
        if batch.mask is not None:
            raise UserError(
                f"samples lack {modality}, from which parameters of encoders cannot be adapted: "
                "set method.adapt=head"
            )
        encoder = cast(Encoder, self.encoders[modality])
        return batch.values.to(self.device) if batch.prepared else encoder.prepare(batch.values)

    def fuse(self, examples: ExampleSet) -> Tensor:
        """Fuse encoded examples ``[B, ways, n, width]`` of each modality into one embedding for
        each sample, ``[B, ways * n, width]``.
        """
        return self.fusion({m: examples.shown(m) for m in examples.columns})


# Options that do not change the embeddings of trained encoders.
WITHOUT_EFFECT = ("augment", "elastic", "hflip", "edge_darkening", "dropout")


def config_diff(
    options: Mapping[str, Any], others: Mapping[str, Any], modalities: Iterable[str]
) -> str | None:
    """Return the first option in which the encoders of two configs differ, such as ``width=128``;
    None if there is none.
    """
    for key in ("width", "normalize", "fusion", *sorted(modalities)):
        own, theirs = (o.get(key) for o in (options, others))
        if isinstance(own, Mapping) and isinstance(theirs, Mapping):
            for name in (n for n in {**theirs, **own} if n not in WITHOUT_EFFECT):
                if own.get(name) != theirs.get(name):
                    return f"{key}.{name}={theirs.get(name)}"
        elif own != theirs:
            return f"{key}={theirs}"
    return None


def _shape(value: Any) -> Any:
    return value.shape if isinstance(value, Tensor) else None  # such as a vocabulary


def build_embedder(
    options: Mapping[str, Any],
    modalities: Iterable[str],
    where: str = "encoder",
    alone: Iterable[str] = (),
) -> Embedder:
    """Build the embedder with the encoders that a run needs.

    Args:
        options: ``width``, ``normalize``, ``fusion``, ``frozen`` and one section for each modality.
        modalities: the modalities in use; the sections of others are ignored.
        where: config path of ``options``, for error messages.
        alone: the modalities that are never fused.
    """
    width, normalize = (options.get(k) for k in ("width", "normalize"))
    ok = width is None or (isinstance(width, int) and width > 0)
    require(
        ok,
        f"{where}.width",
        width,
        "a positive whole number, or null where the models have a width of their own",
    )
    check_type(normalize, bool, f"{where}.normalize")
    frozen = options.get("frozen", False)
    check_type(frozen, bool, f"{where}.frozen")
    known = ("width", "normalize", "fusion", "frozen", *MODALITIES)
    for key in options:
        if base_modality(key) not in known:
            raise UserError(f"{where}.{key} is no option{did_you_mean(key, known)}")
    parts = {
        modality: _encoder_of(options, modality, width, where) for modality in sorted(modalities)
    }
    common = _common_width(parts, width, where)
    fused = sorted(set(parts) - set(alone))
    fusion = build_fusion(options["fusion"], fused, common, f"{where}.fusion")
    embedder = Embedder(parts, fusion, bool(normalize), common)
    return embedder.requires_grad_(False) if frozen else embedder


def _encoder_of(
    options: Mapping[str, Any], modality: str, width: int | None, where: str
) -> Encoder:
    """Build the encoder of one modality."""
    section = section_of(options, modality)
    name = section.pop("name", None)
    if name is None:
        raise UserError(
            f"{where}.{modality} is missing: a mapping uses {modality}, and this encoder "
            "has none for it"
        )
    if width is None and not getattr(
        encoders.get(name, f"{where}.{modality}.name"), "has_own_width", False
    ):
        raise UserError(
            f"{where}.width=null: encoder {name!r} of {modality} has no width of its own; "
            f"give a number, or leave {modality} out of the mappings"
        )
    encoder: Encoder = encoders.build(name, section, f"{where}.{modality}", width=width)
    if encoder.modality != base_modality(modality):
        raise UserError(
            f"{where}.{modality}.name={name} is an encoder of {encoder.modality}, not of {modality}"
        )
    return encoder


def section_of(options: Mapping[str, Any], modality: str) -> dict[str, Any]:
    """Return the options of a modality's encoder; modalities of one kind may share a section."""
    section = options.get(modality, options.get(base_modality(modality)))
    return dict(section) if isinstance(section, Mapping) else {}


def build_fusion(options: Any, modalities: Sequence[str], width: int | None, where: str) -> Fusion:
    """Build the fusion of these modalities; ``options`` is its section or the name ``mean``."""
    if isinstance(options, str) and options != "mean":
        raise UserError(f"{where}={options}: write {where.replace('.', '/')}={options}")
    section = {"name": options} if isinstance(options, str) else dict(options)
    takes_width = "width" in fusions.options_of(section.get("name", ""), f"{where}.name")
    if takes_width and width is None:
        raise UserError(
            f"{where}.name={section['name']} needs embeddings of a known width: set encoder.width"
        )
    context = {"width": width} if takes_width else {}
    fusion: Fusion = fusions.build_section(section, where, modalities=modalities, **context)
    return fusion


def _common_width(parts: Mapping[str, Encoder], width: int | None, where: str) -> int | None:
    """Return the width that the embeddings of all encoders have; None if it depends on the data."""
    widths = {m: e.own_width for m, e in parts.items()} if width is None else {}
    if len(set(widths.values())) > 1:
        message = ", ".join(f"{m} {w}" for m, w in widths.items())
        raise UserError(
            f"{where}.width=null: the models differ in width ({message}); give a width, "
            "and projection: true"
        )
    common = width or next(iter(widths.values()), None)
    return common if all(e.has_fixed_width for e in parts.values()) else None
