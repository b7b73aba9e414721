"""``name: pretrained_text``, ``pretrained_image``, ``pretrained_audio``: Hugging Face transformers
models.

A model is given by its name on the hub, or by a local folder, which is read without any network. It
may be a model of two modalities with a shared space (CLIP, Radford et al. 2021; SigLIP, Zhai et al.
2023): then only the part for the encoder's modality is used. A frozen model encodes each sample
once (see :mod:`mmml.encoders.feature_cache`), and checkpoints contain its hash instead of its
weights.
"""

import copy
import functools
import json
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmml.encoders.base import Encoder, encoders
from mmml.encoders.hub import check_fingerprint, fingerprint, load, pools_first_token
from mmml.errors import UserError, require

RATE = 16_000  # sampling rate of the dataset's audio in Hz
SHORTEST = 1600  # samples


class Pretrained(Encoder):
    """A pretrained model and, optionally, a learned linear projection.

    Args:
        width: of the embedding; None for the model's own width.
        model: a local folder or a name on the hub.
        unfreeze_layers: how many of the last blocks are trained: 0 freezes the model, −1 trains all
            of it.
        projection: whether a learned linear layer follows; without it, ``width`` must be the
            model's own.
    """

    has_own_width = True

    def __init__(self, width: int | None, model: str, unfreeze_layers: int, projection: bool):
        super().__init__()
        require(
            unfreeze_layers >= -1,
            f"encoder.{self.modality}.unfreeze_layers",
            unfreeze_layers,
            "0 (frozen), a number of blocks, or -1 (all)",
        )
        self.option = f"encoder.{self.modality}.model"
        self.source, self.frozen = model, unfreeze_layers == 0
        self.processor = load(PROCESSORS[self.modality], model, self.option)
        trunk: Any = load("AutoModel", model, self.option)
        if not self.frozen:
            trunk = copy.deepcopy(trunk)
            unfreeze(trunk, self.modality, unfreeze_layers)
        # In a plain list the model is no submodule, so checkpoints do not contain it.
        self.models = [trunk] if self.frozen else nn.ModuleList([trunk])
        features = width_of(trunk)
        if not projection and width not in (None, features):
            raise UserError(
                f"encoder.width={width}: {self.option}={model} gives {features} numbers; set "
                f"encoder.width={features} or null, or encoder.{self.modality}.projection=true"
            )
        self.own_width = width or features
        self.head: nn.Module = nn.Linear(features, self.own_width) if projection else nn.Identity()

    @property
    def trunk(self) -> Any:
        """The pretrained model."""
        return self.models[0]

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return next(self.trunk.parameters()).device

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        if self.frozen:  # also move the model, which is no submodule
            self.trunk._apply(fn)
        return super()._apply(fn, recurse)

    def reading(self) -> tuple[Any, ...]:
        """Return the options and vocabulary that the preprocessing depends on."""
        return ()

    @abstractmethod
    def inputs(self, raw: Any) -> Tensor:
        """Return the model's inputs for n raw values, as one tensor ``[n, …]``."""

    @abstractmethod
    def features(self, inputs: Tensor) -> Tensor:
        """Return the model's outputs, ``[n, features]``."""

    def prepare(self, raw: Any) -> Tensor:
        inputs = self.inputs(raw).to(self.device)
        if not self.frozen:
            return inputs
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            return self.features(inputs)

    def forward(self, prepared: Tensor) -> Tensor:
        return self.head(prepared if self.frozen else self.features(prepared))

    @property
    def prepared_key(self) -> str | None:  # type: ignore[override]
        """The fingerprint of a frozen model; None for a model that is trained."""
        return self.fingerprint if self.frozen else None

    @functools.cached_property
    def fingerprint(self) -> str:
        """A hash of the model's weights and config, the preprocessing and the libraries."""
        return fingerprint(
            self.trunk, self.processor, self.source, type(self).__name__, *self.reading()
        )

    def frozen_part(self) -> tuple[str, Encoder] | None:
        """Return the model without the projection."""
        if not self.frozen:
            return None
        part = copy.deepcopy(self, {id(shared): shared for shared in (self.trunk, self.processor)})
        part.head = nn.Identity()
        part.own_width = width_of(self.trunk)
        # Two modalities share a space only if they are embedded by one model.
        return (self.source if is_pair(self.trunk) else f"{self.modality}:{self.source}"), part

    def get_extra_state(self) -> str:
        """Return the fingerprint of a frozen model, for checkpoints; empty if the model is
        trained.
        """
        return self.fingerprint if self.frozen else ""

    def set_extra_state(self, state: str) -> None:
        """Raise a ``UserError`` if the frozen model is not the one of the checkpoint."""
        if self.frozen:
            check_fingerprint(state, self.fingerprint, f"{self.option}={self.source}")


@encoders.register("pretrained_text")
class PretrainedText(Pretrained):
    """A language model, or the text part of a model with a shared space.

    The embedding is the mean over tokens, or the pooling that the folder of the model prescribes.

    Args:
        width, model, unfreeze_layers, projection: see :class:`Pretrained`.
        max_length: number of tokens read of each text.
    """

    modality = "text"

    def __init__(
        self, width: int | None, model: str, unfreeze_layers: int, projection: bool, max_length: int
    ):
        require(max_length > 0, "encoder.text.max_length", max_length, "a positive whole number")
        super().__init__(width, model, unfreeze_layers, projection)
        self.max_length, self.first_token = max_length, pools_first_token(model)

    def reading(self) -> tuple[Any, ...]:
        return self.max_length, self.first_token, tokenizer_facts(self.processor)

    def inputs(self, raw: Sequence[str]) -> Tensor:
        """Return token ids and mask, ``[n, 2, length]``."""
        read = self.processor(
            list(raw),
            padding="max_length" if is_pair(self.trunk) else True,  # as in their training
            truncation=True,
            max_length=self.max_length,
            return_tensors="pt",
            return_attention_mask=True,
        )
        return torch.stack([read["input_ids"], read["attention_mask"]], dim=1)

    def lengths(self, raw: Sequence[str]) -> tuple[list[int], int]:
        return [len(tokens) for tokens in self.processor(list(raw))["input_ids"]], self.max_length

    def features(self, inputs: Tensor) -> Tensor:
        tokens, mask = inputs.unbind(1)
        if is_pair(self.trunk):
            # SigLIP attends to padding, as in its training.
            attention_mask = mask if "attention_mask" in self.processor.model_input_names else None
            return pooled(
                self.trunk.get_text_features(input_ids=tokens, attention_mask=attention_mask)
            )
        states = self.trunk(input_ids=tokens, attention_mask=mask).last_hidden_state
        if self.first_token:
            return states[:, 0]
        weights = mask.unsqueeze(-1).to(states.dtype)
        return (states * weights).sum(1) / weights.sum(1).clamp_min(1)


def tokenizer_facts(tokenizer: Any) -> str:
    """Return the rules and the vocabulary of a tokenizer, without the state of its last call."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return repr(sorted(tokenizer.get_vocab().items()))
    facts = {
        k: v for k, v in json.loads(backend.to_str()).items() if k not in ("truncation", "padding")
    }
    return json.dumps(facts, sort_keys=True)


@encoders.register("pretrained_image")
class PretrainedImage(Pretrained):
    """A vision model: its pooled output, or the mean over patches; or the image part of a model
    with a shared space.
    """

    modality = "image"

    def inputs(self, raw: Any) -> Tensor:
        """Return pixels ``[n, 3, height, width]`` from the model's own preprocessing."""
        images = [torch.as_tensor(image) for image in raw]
        colour = [(i.unsqueeze(0) if i.ndim == 2 else i).expand(3, -1, -1) for i in images]
        return self.processor(colour, return_tensors="pt")["pixel_values"]

    def features(self, inputs: Tensor) -> Tensor:
        model: Any = self.trunk
        return pooled(
            model.get_image_features(pixel_values=inputs)
            if is_pair(model)
            else model(pixel_values=inputs)
        )


@encoders.register("pretrained_audio")
class PretrainedAudio(Pretrained):
    """A speech or sound model: the mean over time of its last states; or the audio part of a model
    with a shared space.
    """

    modality = "audio"

    def prepare(self, raw: Any) -> Tensor:
        """Prepare each clip by itself, since padding would change its normalisation and its
        embedding.
        """
        if not self.frozen and len({len(clip) for clip in raw}) > 1:
            raise UserError(
                "encoder.audio.unfreeze_layers: clips of different lengths can only be "
                "read by a frozen model"
            )
        return torch.cat([super(PretrainedAudio, self).prepare(clip) for clip in raw])

    def inputs(self, raw: Any) -> Tensor:
        """Return the inputs of one 16 kHz clip ``[samples]`` from the model's own preprocessing,
        ``[1, …]``.
        """
        from scipy.signal import resample_poly

        rate = getattr(self.processor, "sampling_rate", RATE)
        clip = torch.as_tensor(raw).numpy()
        clip = np.pad(clip, (0, max(0, SHORTEST - len(clip))))  # models cannot read shorter clips
        clip = clip if rate == RATE else resample_poly(clip, rate, RATE)
        read = self.processor(clip, sampling_rate=rate, return_tensors="pt")
        return next(read[k] for k in ("input_features", "input_values") if k in read)

    def features(self, inputs: Tensor) -> Tensor:
        model: Any = self.trunk
        if is_pair(model):
            return pooled(model.get_audio_features(input_features=inputs))
        return model(inputs).last_hidden_state.mean(1)


PROCESSORS = {
    "text": "AutoTokenizer",
    "image": "AutoImageProcessor",
    "audio": "AutoFeatureExtractor",
}


def is_pair(model: nn.Module) -> bool:
    """Whether the model embeds texts and another modality into a shared space."""
    return hasattr(model, "get_text_features")


def pooled(output: Any) -> Tensor:
    """Return features ``[n, features]`` from the output of any family of models."""
    if isinstance(output, Tensor):
        return output
    if getattr(output, "pooler_output", None) is not None:
        return output.pooler_output.flatten(1)
    states = output.last_hidden_state
    return states.flatten(2).mean(2) if states.ndim == 4 else states.mean(1)


def width_of(model: nn.Module) -> int:
    """Return the number of features that a model computes for each sample."""
    config: Any = model.config
    if is_pair(model):
        return int(getattr(config, "projection_dim", None) or config.text_config.hidden_size)
    return int(getattr(config, "hidden_size", None) or config.hidden_sizes[-1])


def unfreeze(model: nn.Module, modality: str, blocks: int) -> None:
    """Make the last blocks of the longest stack trainable, or all with −1; only in the part for
    ``modality`` if the model has a shared space.
    """
    side = {"text": "text", "image": "vision", "audio": "audio"}[modality]
    part: nn.Module = getattr(model, f"{side}_model", model) if is_pair(model) else model
    if blocks < 0:
        part.requires_grad_(True)
        return
    stacks = [list(m) for m in part.modules() if isinstance(m, nn.ModuleList)]
    for block in max(stacks, key=len)[-blocks:]:
        block.requires_grad_(True)
