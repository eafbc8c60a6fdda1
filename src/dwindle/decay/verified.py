"""Knobs that were verified by running the real library: the checks that passed."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dwindle.decay.knob import Knob

# Written by the runner of the framework checks, never by hand.
PATH = Path(__file__).with_name("verified.json")


@dataclass(frozen=True, kw_only=True)
class Passed:
    """A check that passed.

    Args:
        knob: Name of the knob.
        kind: What was compared: ``undriven weight`` (zero gradient), ``same
            trajectory``, ``same optimum`` or ``no rate``.
        settings: What was set.
        library: Distribution that was run.
        version: Its version.
        tolerance: Relative tolerance.
        why: Reason of the tolerance.

    """

    knob: str
    kind: str
    settings: str
    library: str
    version: str
    tolerance: float
    why: str


@cache
def passed_checks() -> tuple[Passed, ...]:
    """Return every check that passed when the list was last written."""
    found = json.loads(PATH.read_text("utf-8"))
    return tuple(Passed(**each) for each in found["checks"])


def checks_of(knob: Knob) -> tuple[Passed, ...]:
    """Return the checks that a knob passed."""
    return tuple(each for each in passed_checks() if each.knob == knob.name)


def verification_of(knob: Knob) -> str:
    """Return how a record was verified: by running the library, or from its source."""
    ran = dict.fromkeys(f"{each.library} {each.version}" for each in checks_of(knob))
    return f"verified by running ({', '.join(ran)})" if ran else "from source, not run"
