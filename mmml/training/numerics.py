"""Device, precision and memory layout, chosen by static rules and never by timing."""

import hashlib
from dataclasses import dataclass

import torch
from torch import nn

from mmml.config.schema import TrainerConfig
from mmml.errors import UserError
from mmml.methods import Trainable


@dataclass(frozen=True)
class Numerics:
    """The device, precision and memory layout of a run; recorded in ``run.json``."""

    device: torch.device
    precision: str
    channels_last: bool

    def autocast(self) -> torch.autocast:
        """Return the context of a training step's forward pass."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def move(self, learner: nn.Module) -> None:
        """Move a learner to the device and, if chosen, its convolutions to channels-last."""
        learner.to(self.device)
        if self.device.type == "cuda":  # full float32, and reproducible
            torch.backends.cudnn.allow_tf32 = False
            torch.backends.cudnn.deterministic = True
        if self.channels_last:
            learner.to(memory_format=torch.channels_last)

    def record(self) -> dict[str, str | bool]:
        """Return plain values for files."""
        return {
            "device": str(self.device),
            "precision": self.precision,
            "channels_last": self.channels_last,
        }


def choose_numerics(learner: Trainable, options: TrainerConfig) -> Numerics:
    """Choose device, precision and memory layout; rules apply to options that are ``auto``.

    channels_last: if the learner has 2-D convolutions and allows it. bf16: if the learner allows
    it, on GPUs that support it, and on CPUs with bf16 instructions if convolutions are
    channels-last (otherwise bf16 is slower than fp32).
    """
    device = choose_device(options.device)
    takes = learner.takes_channels_last(device)
    convolutions = any(isinstance(m, nn.Conv2d) for m in learner.modules())
    if options.channels_last is True and not takes:
        raise UserError(
            "trainer.channels_last=true does not go with all tasks at once: "
            "set method.vectorize=false"
        )
    channels_last = (
        convolutions and takes if options.channels_last == "auto" else bool(options.channels_last)
    )
    precision = options.precision
    if precision == "auto":
        fast = channels_last or device.type != "cpu"
        precision = "bf16" if fast and learner.takes_bf16() and has_bf16(device) else "fp32"
    elif precision == "bf16" and not learner.takes_bf16():
        raise UserError("trainer.precision=bf16: its inner loops are float32; use auto")
    return Numerics(device, precision, channels_last)


def choose_device(name: str) -> torch.device:
    """Return the device of a name; ``auto`` is the first GPU, or the CPU if there is none."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise UserError(f"trainer.device={name} is not available here; use auto or cpu") from None
    return device


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def step_seed(seed: int, step: int) -> int:
    """Return the seed of one step's random numbers (dropout, augmentation): a pure function, so
    that resuming needs no state.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{step}".encode()).digest()[:7], "big")
