"""Run commands in forks of this process, which has imported all modules before; and kill a fork at
a chosen moment.
"""

import importlib
import os
import pkgutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import mmml

SLOW = (
    "hydra._internal.hydra",
    "jinja2",
    "matplotlib.backends.backend_svg",
    "sklearn.manifold",
    "torch._dynamo",
)
# Functions of ``os``; a fork is killed just before or after a call of one.
PLACES = ("replace", "rename", "link", "unlink", "fsync")


def import_all() -> None:
    """Import all modules that commands need, once."""
    for name in (*SLOW, *(m.name for m in pkgutil.walk_packages(mmml.__path__, "mmml."))):
        importlib.import_module(name)


@dataclass
class Moment:
    """The moment of a kill: after some seconds of computing, or just before or after a call, given
    by its number.
    """

    seconds: float = float("inf")
    call: int = -1
    before: bool = False


def die_at(moment: Moment) -> list[int]:
    """Count the calls of ``PLACES`` in this process, and kill it at the given one; return a list
    with the count.
    """
    counted = [0]

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            number, counted[0] = counted[0], counted[0] + 1
            if number == moment.call and moment.before:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return real(*given, **named)
            finally:
                if number == moment.call:
                    os.kill(os.getpid(), signal.SIGKILL)

        return call

    for name in PLACES:
        setattr(os, name, counting(getattr(os, name)))
    return counted


def play(
    program: Callable[[], None], arguments: list[str], folder: Path, moment: Moment
) -> int | None:
    """Run a command in a fork, in a folder with its own cache; return its exit code, or None if it
    was killed.
    """
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1), os.dup2(log, 2)
            os.chdir(folder)
            os.environ |= {"MMML_CACHE": str(folder / "cache"), "TMPDIR": str(folder)}
            tempfile.tempdir = None
            torch.set_num_threads(1)
            sys.argv = [f"mmml-{program.__name__}", *arguments]
            counted = die_at(moment)
            program()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
            (folder / "course.txt").write_text(f"{counted[0]} {time.thread_time()}")
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        with suppress(OSError):  # it may have ended just now
            if int(Path(f"/proc/{child}/schedstat").read_text().split()[0]) > moment.seconds * 1e9:
                os.kill(child, signal.SIGKILL)
                ended = os.waitpid(child, 0)
                break
        time.sleep(0.002)
    return None if os.WIFSIGNALED(ended[1]) else os.WEXITSTATUS(ended[1])
