import os
import signal

import pytest

from mmml.training.signals import Interrupted, handle_signals


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


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_a_terminal_that_closes_and_a_scheduler_that_warns_are_heard(number):
    with pytest.raises(Interrupted) as error, handle_signals():
        os.kill(os.getpid(), number)
    assert error.value.exit_code == 128 + number


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with handle_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
