"""A process that decodes files, one request after the other; started by
:mod:`mmml.data.media.pool`.

A file that crashes a decoder, or makes it exhaust the memory, then ends only this process, not the
run.
"""

import pickle
import resource
import signal
import sys
from contextlib import suppress

import numpy as np

from mmml.data.media import MediaError, decode

MEMORY = 8 << 30  # bytes of address space that a decoder may take


def main() -> None:
    """Read pickled ``(modality, path, limits)`` from stdin, and answer with an array or the reason
    for the failure.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    with suppress(ValueError, OSError):  # not every system supports limits
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    while True:
        try:
            request = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer: np.ndarray | str = decode(*request)
        except MediaError as error:
            answer = str(error)
        except MemoryError:
            answer = "it does not fit into memory"
        pickle.dump(answer, sys.stdout.buffer, protocol=pickle.HIGHEST_PROTOCOL)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
