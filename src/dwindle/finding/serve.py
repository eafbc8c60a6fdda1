"""The worker that a training function lives in: loads it once, calls it many times."""

import faulthandler
import os
from multiprocessing.connection import Connection

from dwindle.finding.call import called, lines_of, loaded, signature_of
from dwindle.finding.training import Came


def serve(asks_from: int, answers_to: int) -> None:
    """Live as a worker: the function comes first, then asks until the pipe ends.

    The answer to the function is its signature, or an outcome or an error of ours that
    says why there is none; that to an ask is an outcome.
    """
    # What the function starts must not hold our pipes open.
    for pipe in (asks_from, answers_to):
        os.set_inheritable(pipe, False)  # noqa: FBT003 it takes no name
    faulthandler.enable()
    asks = Connection(asks_from, writable=False)
    answers = Connection(answers_to, readable=False)
    try:
        given, scale_names, metric = asks.recv()
        function = loaded(given) if isinstance(given, str) else given
        signature = signature_of(function, scale_names)
    except BaseException as error:  # noqa: BLE001 an import may raise anything
        answers.send(_not_loaded(error))
        return
    answers.send(signature)
    ours = os.getpid()
    while True:
        try:
            ask = asks.recv()
        except EOFError:
            return
        came = called(function, signature, ask, metric)
        # A child that the training forked and let return would answer, too: its answer
        # would be taken for that of the next training.
        if os.getpid() != ours:
            os._exit(0)
        answers.send(came)


def _not_loaded(error: BaseException) -> object:
    from dwindle.errors import DwindleError

    if isinstance(error, DwindleError):
        return error
    lines = lines_of(error)
    why = lines[-1] if lines else type(error).__name__
    return Came(status="error", seconds=0.0, error=why, last_lines=lines)
