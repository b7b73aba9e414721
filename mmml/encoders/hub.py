"""Loading models of Hugging Face's transformers: from a local folder, from the hub's cache,
or from the hub.
"""

import functools
import hashlib
import json
import os
import socket
from pathlib import Path
from textwrap import shorten
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import nn

from mmml.errors import UserError
from mmml.files import expanded

PATIENCE = 10.0  # seconds to wait for the hub
POOLING = "1_Pooling/config.json"  # where sentence encoders keep how tokens become one embedding


@functools.cache
def load(kind: str, name: str, option: str) -> Any:
    """A model (frozen, in evaluation mode) or what turns raw values into its inputs;
    each is loaded once.

    Args:
        kind: of transformers' automatic classes.
        name: a local folder or a name on the hub.
        option: what named it, for messages.

    Raises:
        UserError: there is no such folder or model, or it cannot be loaded.
    """
    folder = expanded(name)
    if not folder.is_dir() and (
        folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1
    ):
        raise UserError(f"{option}={name}: there is no such folder")
    automatic = getattr(library(option), kind)
    try:
        found = (
            _load_local(automatic, str(folder))
            if folder.is_dir()
            else _load_named(automatic, name, option)
        )
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise UserError(
            f"{option}={name} cannot be loaded ({shorten(str(error), 200, placeholder=' …')})"
        ) from None
    return found.eval().float().requires_grad_(False) if isinstance(found, nn.Module) else found


def fingerprint(model: Any, processor: Any, source: str, user: str, *options: Any) -> str:
    """A hash of everything that the outputs of a model depend on: weights, config, libraries,
    and how it is used.

    Args:
        model: of transformers.
        processor: what reads values for it.
        source: its folder or name, which is left out.
        user: what uses it.
        options: by which that prepares what the model reads.
    """
    import transformers

    digest = hashlib.sha256(
        repr((user, transformers.__version__, torch.__version__, *options)).encode()
    )
    # What it is counts, not where it lies.
    facts = {k: v for k, v in model.config.to_dict().items() if k != "_name_or_path"}
    digest.update(json.dumps(facts, sort_keys=True, default=str).encode())
    digest.update(repr(processor).replace(source, "").encode())
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(
            value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        )
    return digest.hexdigest()[:32]


def check_fingerprint(kept: str, found: str, named: str) -> None:
    """Refuse another frozen model than that of a checkpoint.

    Args:
        kept: the checkpoint's fingerprint.
        found: of the model that is here.
        named: the option and its value.
    """
    if kept != found:
        why = "other weights, or another version of transformers or torch"
        raise UserError(f"{named} is not what the run was trained with: {why}")


def library(option: str) -> Any:
    """The package transformers, with messages turned off except errors;
    ``option`` is what needs it.
    """
    try:
        import transformers
    except ImportError:
        extra = "generation" if "language_model" in option else "pretrained"
        raise UserError(
            f"{option} needs the package transformers: pip install 'mmml[{extra}]'"
        ) from None
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


def _load_local(automatic: Any, name: str) -> Any:
    return automatic.from_pretrained(name, local_files_only=True)


def _load_named(automatic: Any, name: str, option: str) -> Any:
    """From the hub's cache on this machine, else from the hub, if it answers at all."""
    try:
        return _load_local(automatic, name)
    except (OSError, ValueError):
        pass
    why = hub_is_out_of_reach()
    if why:
        raise UserError(
            f"{option}={name}: there is no such folder, the model is not in the hub's cache on "
            f"this machine, and the hub cannot be reached ({why}); give a local folder"
        )
    return automatic.from_pretrained(name)


def hub_is_out_of_reach() -> str | None:
    """Why no connection to the hub can be made, found at once; the hub's own client
    would try for minutes.
    """
    from huggingface_hub import constants

    if any(
        os.environ.get(name)
        for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY")
    ):
        return None  # not ours to try
    if constants.is_offline_mode():
        return "HF_HUB_OFFLINE is set"
    hub = urlsplit(constants.ENDPOINT)
    port = hub.port or (80 if hub.scheme == "http" else 443)
    try:
        socket.create_connection((hub.hostname or "", port), PATIENCE).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def pools_first_token(name: str) -> bool:
    """Whether the files of a sentence encoder say that its first token is the embedding."""
    path = expanded(name) / POOLING if expanded(name).is_dir() else _file_of(name, POOLING)
    try:
        pooling = json.loads(path.read_text()) if path else {}
    except (OSError, ValueError):
        return False
    modes = {
        mode
        for mode, chosen in pooling.items()
        if mode.startswith("pooling_mode_") and chosen is True
    }
    if modes - {"pooling_mode_cls_token", "pooling_mode_mean_tokens"}:
        raise UserError(
            f"{name}: {POOLING} asks for {', '.join(sorted(modes))}; only the first token "
            "or the mean is known"
        )
    return "pooling_mode_cls_token" in modes


def _file_of(name: str, file: str) -> Path | None:
    """A file of a model on the hub, if need be from the cache on this machine;
    None if there is none.
    """
    import huggingface_hub as hub
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    known = hub.try_to_load_from_cache(name, file)
    if isinstance(known, str):
        return Path(known)
    # The cache says that there is none, or the hub is out of reach.
    if known is not None or hub_is_out_of_reach():
        return None
    try:
        return Path(hub.hf_hub_download(name, file))
    except (EntryNotFoundError, HfHubHTTPError, OSError):
        return None
