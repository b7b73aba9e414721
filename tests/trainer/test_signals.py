import os
import signal

import pytest

from mmml.trainer.signals import Interrupted, handle_signals


def test_outside_a_step_a_signal_interrupts_at_once():
    with pytest.raises(Interrupted) as raised, handle_signals():
        os.kill(os.getpid(), signal.SIGTERM)
    assert raised.value.exit_code == 143


def test_within_a_step_the_first_waits_and_the_second_does_not():
    with handle_signals() as stop, stop.after_step():
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested == signal.SIGINT
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGINT)


def test_handlers_come_back():
    before = signal.getsignal(signal.SIGINT)
    with handle_signals():
        pass
    assert signal.getsignal(signal.SIGINT) is before


def test_after_the_steps_a_signal_interrupts_at_once_again():
    with pytest.raises(Interrupted), handle_signals() as stop:
        with stop.after_step():
            pass
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("it was not heeded")
