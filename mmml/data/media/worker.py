"""A process that decodes files, one request after the other; run by :mod:`mmml.data.media.pool`.

A file that crashes a decoder, or makes it fill the memory, then costs a process and not the run.
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
    """Answer pickled ``(modality, path, limits)`` on stdin with an array,
    or with why there is none.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    with suppress(ValueError, OSError):  # not every system lets itself be limited
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
