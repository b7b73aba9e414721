"""Stopping on a signal without losing work."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

# From a keyboard, a shutdown, a closed terminal, and a scheduler's warning.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


class Interrupted(BaseException):
    """A signal asked the program to stop; its exit code is 128 + the signal's number.

    Not an ``Exception``: a sweep must stop for it, and no handler may swallow it.
    """

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum


class Stop:
    """Signals to the current run: they raise at once, or inside :meth:`after_step` at the end of a
    step.
    """

    def __init__(self) -> None:
        self.requested: int | None = None
        self._waiting = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        # a second signal stops at once
        if not self._waiting or self.requested is not None:
            raise Interrupted(signum)
        self.requested = signum
        with suppress(OSError):  # the terminal may be closed
            print(
                "\nstopping after this step, or after this evaluation; once more to stop at once",
                file=sys.stderr,
            )

    @contextmanager
    def after_step(self) -> Iterator[None]:
        """Within this context, a first signal only sets ``requested``."""
        self._waiting = True
        try:
            yield
        finally:
            self._waiting = False


@contextmanager
def handle_signals() -> Iterator[Stop]:
    """Handle ``SIGNALS`` within this context, except those that are ignored; has an effect only in
    the main thread.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    # nohup ignores SIGHUP.
    heard = [s for s in SIGNALS if signal.getsignal(s) is not signal.SIG_IGN]
    before = {s: signal.signal(s, stop) for s in heard}
    try:
        yield stop
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
