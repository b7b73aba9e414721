"""The expected length of a file, to detect truncated files.

Pillow and soundfile detect truncation in most formats, but WAV, AVI, Matroska (WebM) and MP4 (M4A)
would just end earlier. Their outermost headers give lengths, which suffice.
"""

import os
from typing import BinaryIO

STREAMED = 0x7FFF_0000  # bytes; programs that write RIFF to a pipe give at least this length
SLOPPINESS = 8  # bytes of tolerance; some writers count the RIFF header or padding wrongly
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def promised(file: BinaryIO) -> int:
    """Return the length in bytes that a file's own header gives, 0 if it gives none."""
    file.seek(0)
    head = file.read(12)
    if head[:4] == b"RIFF":
        size = int.from_bytes(head[4:8], "little")
        return size + 8 - SLOPPINESS if size < STREAMED else 0
    if head[:4] == EBML:
        return _matroska(file)
    return _mp4(file) if head[4:8] == b"ftyp" else 0


def _matroska(file: BinaryIO) -> int:
    """Return the end of the segment, the second and last element of a Matroska file."""
    file.seek(len(EBML))
    header = _varint(file)
    file.seek(header or 0, os.SEEK_CUR)
    if file.read(len(SEGMENT)) != SEGMENT:
        return 0
    size = _varint(file)
    return 0 if size is None else file.tell() + size


def _varint(file: BinaryIO) -> int | None:
    """Read a number whose leading zero bits give its number of bytes; None if it is all ones, for
    "unknown".
    """
    first = int.from_bytes(file.read(1), "big")
    more = 8 - first.bit_length()
    bits = 7 * (more + 1)
    value = int.from_bytes(bytes([first]) + file.read(more), "big") & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value


def _mp4(file: BinaryIO) -> int:
    """Return the end of the last box of an MP4 file: each box begins with its length and four
    letters.
    """
    end = 0
    while True:
        file.seek(end)
        head = file.read(16)
        if len(head) < 8 or not head[4:8].isalnum():
            return end
        size = int.from_bytes(head[:4], "big")
        if size == 1:  # the length follows as 8 bytes
            size = int.from_bytes(head[8:16], "big")
        if size < 8:  # 0 means: to the end of the file
            return end
        end += size
