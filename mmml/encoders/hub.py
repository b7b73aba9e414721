"""Loading Hugging Face transformers models: from a local folder, from the hub's cache on this
machine, or from the hub.
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
POOLING = "1_Pooling/config.json"  # the pooling options of sentence encoders


@functools.cache
def load(kind: str, name: str, option: str) -> Any:
    """Return a model (frozen, in evaluation mode), or a processor that turns raw values into its
    inputs; each is loaded only once.

    Args:
        kind: name of a transformers automatic class, such as ``AutoModel``.
        name: a local folder or a name on the hub.
        option: the config option that named it, for error messages.

    Raises:
        UserError: the folder or model does not exist, or it cannot be loaded.
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
    """Return a hash of everything that a model's outputs depend on: weights, config, library
    versions and preprocessing.

    Args:
        model: a transformers model.
        processor: turns raw values into the model's inputs.
        source: the model's folder or name, which does not enter the hash.
        user: the name of the class that uses the model.
        options: the preprocessing options of this class.
    """
    import transformers

    digest = hashlib.sha256(
        repr((user, transformers.__version__, torch.__version__, *options)).encode()
    )
    # The hash must not depend on where the model is stored.
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
    """Raise a ``UserError`` if a frozen model is not the one of the checkpoint.

    Args:
        kept: the fingerprint in the checkpoint.
        found: the fingerprint of the loaded model.
        named: the option and its value, for the error message.
    """
    if kept != found:
        why = "other weights, or another version of transformers or torch"
        raise UserError(f"{named} is not what the run was trained with: {why}")


def library(option: str) -> Any:
    """Return the package transformers with only errors logged; ``option`` is the option that needs
    it, for error messages.
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
    """Load from the hub's cache on this machine, else from the hub if it can be reached."""
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
    """Return why the hub cannot be reached, or None if it can; tried once, since the hub's own
    client would retry for minutes.
    """
    from huggingface_hub import constants

    if any(
        os.environ.get(name)
        for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY")
    ):
        return None  # a proxy may reach the hub
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
    """Return whether the pooling options of a sentence encoder make its first token the embedding.

    Raises:
        UserError: the pooling is neither the first token nor the mean.
    """
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
    """Return the path of a file of a model on the hub, from the cache if it is there; None if the
    file does not exist or cannot be reached.
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
