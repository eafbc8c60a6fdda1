"""The claims of the question and of its answer, in the order they are made."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dwindle.findings.model import Claim


@dataclass(frozen=True)
class Check:
    """One row: what is checked, in a few words, and the function that checks it."""

    title: str
    run: Callable[[], Claim]


def checks() -> tuple[Check, ...]:
    """Return every check; importing them loads torch, so it happens here."""
    from dwindle.answer.bengio import check_bengio
    from dwindle.answer.convex import check_minibatch
    from dwindle.answer.factor_two import check_factor_two, check_one_tenth_percent
    from dwindle.answer.one_weight import check_layers_and_units, check_normalization

    return (
        Check("the factor 2", check_factor_two),
        Check("0.1 % per iteration", check_one_tenth_percent),
        Check("layers and units", check_layers_and_units),
        Check("dividing by the number of weights", check_normalization),
        Check("Bengio's minibatch share", check_bengio),
        Check("the minibatch size", check_minibatch),
    )


def check_claims() -> Iterator[tuple[str, Claim]]:
    """Run the checks one by one, yielding each title with its claim."""
    import torch

    threads = torch.get_num_threads()
    # These networks are so small that a second thread only waits for the first.
    torch.set_num_threads(1)
    try:
        for check in checks():
            yield check.title, check.run()
    finally:
        torch.set_num_threads(threads)
