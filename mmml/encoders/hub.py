"""Loading models of Hugging Face's transformers: from a local folder, from the hub's cache, or from the hub."""

import functools
import json
import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from torch import nn

from mmml.errors import UserError

PATIENCE = 10.0  # seconds to wait for the hub


@functools.cache
def load(kind: str, name: str, option: str) -> Any:
    """A model (frozen, in evaluation mode) or what turns raw values into its inputs; each is loaded once.

    Args:
        kind: of transformers' automatic classes.
        name: a local folder or a name on the hub.
        option: what named it, for messages.

    Raises:
        UserError: there is no such folder or model, or it cannot be loaded.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir() and (folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1):
        raise UserError(f"{option}={name}: there is no such folder")
    try:
        import transformers
    except ImportError:
        raise UserError(f"{option} needs the package transformers: pip install 'mmml[pretrained]'") from None
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    automatic = getattr(transformers, kind)
    try:
        found = _load_local(automatic, str(folder)) if folder.is_dir() else _load_named(automatic, name, option)
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise UserError(f"{option}={name} cannot be loaded ({' '.join(str(error).split())[:160]})") from None
    return found.eval().float().requires_grad_(False) if isinstance(found, nn.Module) else found


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
            f"{option}={name}: there is no such folder, the model is not in the hub's cache on this machine, and the "
            f"hub cannot be reached ({why}); give a local folder"
        )
    return automatic.from_pretrained(name)


def hub_is_out_of_reach() -> str | None:
    """Why no connection to the hub can be made, found at once; the hub's own client would try for minutes."""
    from huggingface_hub import constants

    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY")):
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
    """Whether a sentence encoder's folder says that its first token is the embedding."""
    try:
        pooling = json.loads((Path(name).expanduser() / "1_Pooling" / "config.json").read_text())
    except (OSError, ValueError):
        return False
    return bool(pooling.get("pooling_mode_cls_token"))
