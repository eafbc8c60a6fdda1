"""Stopping a study in order: on Ctrl-C, SIGTERM, or a terminal that is closed."""

import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from dwindle.errors import StudyStoppedError

# The last is that of a terminal that is closed; Windows has none.
SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
)
# A shell starts what it runs in the background with Ctrl-C ignored; a program that
# sends it to a study all the same means it.
_NEVER_IGNORED = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopping_on_signals() -> Generator[None, None, None]:
    """Make the first Ctrl-C, SIGTERM or SIGHUP stop in order, a second at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    # os._exit: after a second Ctrl-C there is no wait for a clean end.
    def stop_at_once(_number: int, _frame: FrameType | None) -> None:
        os._exit(StudyStoppedError.exit_code)

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in caught:
            signal.signal(number, stop_at_once)
        raise KeyboardInterrupt

    # nohup ignores the end of the terminal, and so do we then.
    ignored = {at for at in SIGNALS if signal.getsignal(at) == signal.SIG_IGN}
    caught = [at for at in SIGNALS if at in _NEVER_IGNORED or at not in ignored]
    before = {number: signal.signal(number, stop) for number in caught}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
