"""One check: what a real library does beside what our record of its knob predicts."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

import numpy as np

from dwindle.decay.coordinates import survival_from_number
from dwindle.decay.knobs import KNOBS
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule

Kind = Literal["undriven weight", "no rate", "same trajectory", "same optimum"]

# Warm-up, a falling lr, momentum: each of them has been forgotten by some converter.
RUN = Run(
    lr=0.01, steps=60, momentum=0.9, schedule=Schedule(shape="cosine", warmup=0.1)
)
NUMBER = 0.02
# Weights of several sizes and signs; matrices, because Muon takes nothing else.
START = ((2.0, -3.0), (0.5, 11.0))
SIXTY_STEPS = "sixty steps in float64, each rounding a few times at 1e-16"
EXACT = 1e-9
SMALL = "the number cancels but for eps; a factor of a hundred would be seen as one"


@dataclass(frozen=True, kw_only=True)
class Check:
    """What both sides give is equal to a relative tolerance.

    Args:
        knob: Name of the knob that is verified.
        library: Distribution that is run, whose version is written down.
        kind: What is compared.
        settings: What was set, as text.
        theirs: Runs the library.
        ours: Predicts, or runs the number that our conversion gives elsewhere.
        rel: Relative tolerance.
        why: Reason of the tolerance.

    """

    knob: str
    library: str
    kind: Kind
    settings: str
    theirs: Callable[[], list[float]]
    ours: Callable[[], list[float]]
    rel: float = EXACT
    why: str = SIXTY_STEPS

    @property
    def label(self) -> str:
        """Name of the check in the output of a run."""
        return f"{self.knob} | {self.kind} | {self.settings}"

    def record(self) -> dict[str, str | float]:
        """What the check is, without the version that it is run with."""
        return {
            "knob": self.knob,
            "kind": self.kind,
            "settings": self.settings,
            "library": self.library,
            "tolerance": self.rel,
            "why": self.why,
        }

    def passed(self) -> dict[str, str | float]:
        """What is written down when it has passed."""
        # A local version, such as +cpu, is the same source.
        return self.record() | {"version": version(self.library).partition("+")[0]}


def zero_gradient(
    knob: str,
    library: str,
    measure: Callable[[float, Run], list[float]],
    *,
    run: Run = RUN,
    tolerance: tuple[float, str] = (EXACT, SIXTY_STEPS),
) -> Check:
    """Zero gradients: what is left of every weight is what the record predicts."""

    def ours() -> list[float]:
        return [survival_from_number(KNOBS[knob], NUMBER, run)] * 4

    return Check(
        knob=knob,
        library=library,
        kind="undriven weight",
        settings=f"{NUMBER:g}, {brief(run)}",
        theirs=lambda: measure(NUMBER, run),
        ours=ours,
        rel=tolerance[0],
        why=tolerance[1],
    )


def number_cancels(
    knob: str,
    library: str,
    measure: Callable[[float, Run], list[float]],
    *,
    rel: float,
    why: str,
) -> Check:
    """Zero gradients: a hundredfold number leaves as much, so it sets no rate."""
    return Check(
        knob=knob,
        library=library,
        kind="no rate",
        settings=f"0.01 and a hundred times that, {brief(RUN)}",
        theirs=lambda: measure(1.0, RUN),
        ours=lambda: measure(0.01, RUN),
        rel=rel,
        why=why,
    )


def same_as_penalty(
    knob: str, library: str, driven: Callable[[float, float], list[float]]
) -> Check:
    """Under given gradients the knob is the gradient of its penalty, added to them.

    ``driven`` gives weights from the number of the knob and the coefficient that is
    added to the gradient.
    """
    return Check(
        knob=knob,
        library=library,
        kind="same trajectory",
        settings=f"{NUMBER:g}, against its penalty in the loss, {brief(RUN)}",
        theirs=lambda: driven(NUMBER, 0.0),
        ours=lambda: driven(0.0, NUMBER),
    )


def schedule_free(
    knob: str, library: str, measure: Callable[[float, Run], list[float]]
) -> Check:
    """Decay at y, average evaluated: a loop over that rule leaves as much."""
    number, run = 0.6, Run(lr=0.01, steps=200)

    def ours() -> list[float]:
        # The average x of iterates z that decay at y between both, from 1.
        z = x = 1.0
        for step in range(1, run.total_steps + 1):
            z -= 0.01 * number * (0.9 * x + 0.1 * z)  # Adam's first beta, 0.9
            x += (z - x) / step
        return [x] * 4

    return Check(
        knob=knob,
        library=library,
        kind="no rate",
        settings=f"{number:g}, {brief(run)}: a loop over iterate and average",
        theirs=lambda: measure(number, run),
        ours=ours,
    )


def estimated(
    knob: str,
    library: str,
    after_a_step: Callable[[float], tuple[Any, float]],
    correction: float = 1.0,
) -> Check:
    """One step with a decay and one without differ by d·lr·number of the weight.

    ``after_a_step`` gives the weights and the estimate d at a number of the knob.
    """

    def theirs() -> list[float]:
        (bare, _), (decayed, _) = after_a_step(0.0), after_a_step(0.5)
        taken = (np.asarray(bare) - np.asarray(decayed)) / 0.5 / np.asarray(START)
        return list(taken.flatten().tolist())

    return Check(
        knob=knob,
        library=library,
        kind="no rate",
        settings="0.5, lr 1, one step: the decay is the estimate that it holds",
        theirs=theirs,
        ours=lambda: [after_a_step(0.5)[1] * correction] * 4,
        rel=1e-6,
        why="a difference of 1e-6 between two weights of size 1 to 10 in float64",
    )


def brief(run: Run) -> str:
    """The facts of a run in brief."""
    facts = [f"lr {run.lr:g}", run.schedule.shape, f"{run.total_steps} steps"]
    facts += [f"warm-up {run.schedule.warmup:g}"] * bool(run.schedule.warmup)
    facts += [f"momentum {run.momentum:g}"] * bool(run.momentum)
    return ", ".join(facts)
