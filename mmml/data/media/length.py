"""How long a file ought to be, so that one that was cut short is not taken for a shorter clip.

Pillow and soundfile notice what is missing of most formats, but WAV, AVI, Matroska (WebM) and
MP4 (M4A) would just end sooner. Their outermost headers give lengths, which suffice.
"""

import os
from typing import BinaryIO

STREAMED = 0x7FFF_0000  # bytes; programs that write RIFF into a pipe claim this much or more
SLOPPINESS = 8  # bytes; some writers count the RIFF header or the last padding wrongly
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def promised(file: BinaryIO) -> int:
    """The bytes that a file's own header promises, 0 if it does not say."""
    file.seek(0)
    head = file.read(12)
    if head[:4] == b"RIFF":
        size = int.from_bytes(head[4:8], "little")
        return size + 8 - SLOPPINESS if size < STREAMED else 0
    if head[:4] == EBML:
        return _matroska(file)
    return _mp4(file) if head[4:8] == b"ftyp" else 0


def _matroska(file: BinaryIO) -> int:
    """The end of the segment, the second and last element of the file."""
    file.seek(len(EBML))
    header = _varint(file)
    file.seek(header or 0, os.SEEK_CUR)
    if file.read(len(SEGMENT)) != SEGMENT:
        return 0
    size = _varint(file)
    return 0 if size is None else file.tell() + size


def _varint(file: BinaryIO) -> int | None:
    """A number whose leading zero bits say how many bytes it has; None if all ones, "unknown"."""
    first = int.from_bytes(file.read(1), "big")
    more = 8 - first.bit_length()
    bits = 7 * (more + 1)
    value = int.from_bytes(bytes([first]) + file.read(more), "big") & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value


def _mp4(file: BinaryIO) -> int:
    """The end of the last box: each begins with its length and four letters."""
    end = 0
    while True:
        file.seek(end)
        head = file.read(16)
        if len(head) < 8 or not head[4:8].isalnum():
            return end
        size = int.from_bytes(head[:4], "big")
        if size == 1:  # a long one
            size = int.from_bytes(head[8:16], "big")
        if size < 8:  # 0: to the end of the file
            return end
        end += size
