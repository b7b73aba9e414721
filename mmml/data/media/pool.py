"""Decoding of many files in parallel processes, in order."""

import os
import pickle
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from mmml.data.media.base import Limits

SECONDS = 120.0  # that decoding one file may take
AHEAD = 8  # files that each process may decode ahead of the reader


@dataclass(frozen=True)
class Failure:
    """Why a file could not be decoded, in one sentence.

    Attributes:
        lasting: whether the cause is the content, rather than the current state of this machine.
    """

    why: str
    lasting: bool = True


class Worker:
    """One decoding process, started when it is needed and restarted after a crash."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def decode(self, modality: str, path: Path, limits: Limits) -> np.ndarray | Failure:
        """Decode a file; returns a ``Failure`` if that is not possible."""
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        timer = threading.Timer(SECONDS, process.kill)
        timer.start()
        try:
            pickle.dump((modality, path, limits), process.stdin)
            process.stdin.flush()
            answer = pickle.load(process.stdout)
            return Failure(answer) if isinstance(answer, str) else answer
        except (EOFError, OSError, pickle.UnpicklingError):
            late = not timer.is_alive()
            self.stop()
            why = (
                f"decoding it takes over {SECONDS:.0f} seconds"
                if late
                else "decoding it crashes the decoder"
            )
            return Failure(why, lasting=False)
        finally:
            timer.cancel()

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "mmml.data.media.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
                    "OMP_NUM_THREADS": "1",
                },
            )
        return self.process

    def stop(self) -> None:
        """End the process, if there is one."""
        if self.process is not None:
            process, self.process = self.process, None
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):  # unsent data has no reader any more
                        pipe.close()


class Pool:
    """A pool of decoding processes; a context manager.

    Args:
        workers: number of processes; by default one for each core.
    """

    def __init__(self, workers: int | None = None):
        count = workers or cores()
        self.workers = [Worker() for _ in range(count)]
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for worker in self.workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(count)

    def __enter__(self) -> "Pool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(wait=kind is None, cancel_futures=True)
        for worker in self.workers:
            worker.stop()

    def decode(
        self, modality: str, paths: Iterable[Path], limits: Limits
    ) -> Iterator[np.ndarray | Failure]:
        """Yield the array or the ``Failure`` of each file, in order, decoding only a few files
        ahead of the reader.
        """
        waiting: deque[Future[np.ndarray | Failure]] = deque()
        for path in paths:
            waiting.append(self._threads.submit(self._one, modality, path, limits))
            if len(waiting) >= AHEAD * len(self.workers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _one(self, modality: str, path: Path, limits: Limits) -> np.ndarray | Failure:
        worker = self._idle.get()
        try:
            return worker.decode(modality, path, limits)
        finally:
            self._idle.put(worker)


def cores() -> int:
    """The number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
