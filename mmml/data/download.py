"""Downloads of files: an interrupted download is resumed, and every file is checked."""

import hashlib
import http.client
import os
import sys
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from mmml.errors import UserError, expected
from mmml.files import writing

ATTEMPTS, PAUSE = 5, 2.0  # number of attempts, and seconds between them
PASSING = (429, 500, 502, 503, 504)  # status codes of servers that are busy
TIMEOUT = 30.0  # seconds without any data
BLOCK = 1 << 16


@dataclass(frozen=True)
class Download:
    """A file that a dataset needs.

    Attributes:
        url: its address, http or https.
        path: where to store it, relative to the dataset's folder.
        digest: ``sha256:…`` or ``md5:…`` of its content; None for a zip file that the server packs
            again for each download.
    """

    url: str
    path: str
    digest: str | None = None

    def matches(self, path: Path) -> bool:
        """Whether a file has the expected content."""
        if self.digest is None:
            return whole_zip(path)
        algorithm, _, wanted = self.digest.partition(":")
        with path.open("rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest() == wanted


def whole_zip(path: Path) -> bool:
    """Whether the checksums of all members of a zip file are right."""
    try:
        with zipfile.ZipFile(path) as opened:
            return opened.testzip() is None
    except (zipfile.BadZipFile, zlib.error, OSError):
        return False


def fetch(download: Download, folder: Path) -> Path:
    """Download a file unless it exists already, and return its path.

    An incomplete download is kept in a file ``….part``, also when the program is stopped.

    Raises:
        UserError: the download failed, or its content is not the expected one.
    """
    target = folder / download.path
    if target.exists() and download.matches(target):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{target.parent} cannot be made ({error.strerror}): set dataset.root= "
            "to another folder"
        ) from None
    partial = target.with_name(f"{target.name}.part")
    for attempt in range(ATTEMPTS):
        try:
            time.sleep(PAUSE if attempt else 0)
            with writing(partial):
                _receive(download.url, partial)
            break
        except urllib.error.HTTPError as error:
            error.close()
            if error.code not in PASSING:
                raise UserError(
                    f"{download.url} cannot be had ({error.code} {error.reason}): get it by hand"
                ) from None
            reason: Exception = error
        except (OSError, http.client.HTTPException) as error:
            if isinstance(expected(error), UserError):
                raise  # an error of the disk, not of the network
            reason = error
    else:
        raise UserError(
            f"{download.url} cannot be had ({reason}): is there a network? The same command goes on"
        )
    if not download.matches(partial):
        partial.unlink()
        raise UserError(
            f"{download.url}: its content is not what was expected; try again, or get it by hand"
        )
    os.replace(partial, target)  # noqa: PTH105
    return target


def _receive(url: str, partial: Path) -> None:
    """Append the missing part to a file; write it from the beginning if the server sends
    everything.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url} is no address of the web")
    downloaded = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(
        url, headers={"Range": f"bytes={downloaded}-"} if downloaded else {}
    )
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        # The file is complete, or too long.
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return
        raise
    with response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            downloaded = 0
        length = response.headers.get("Content-Length")
        total = None if length is None else downloaded + int(length)
        name = partial.name.removesuffix(".part")
        with (
            partial.open("ab" if downloaded else "wb") as file,
            tqdm(
                total=total,
                initial=downloaded,
                desc=name,
                unit="B",
                unit_scale=True,
                disable=not sys.stderr.isatty(),
            ) as bar,
        ):
            while block := response.read(BLOCK):
                file.write(block)
                bar.update(len(block))
            if total is not None and file.tell() < total:
                raise ConnectionError(f"it broke off after {file.tell():,} of {total:,} bytes")
