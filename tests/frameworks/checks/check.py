"""One check: what a real library does beside what our record of its knob says."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

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


@dataclass(frozen=True, kw_only=True)
class Check:
    """What both sides give is equal to a relative tolerance.

    Args:
        knob: Name of the knob that is verified.
        library: Distribution that is run, whose version is written down.
        kind: What is compared.
        settings: What was set, in words.
        theirs: Runs the library.
        ours: Predicts, or runs what our conversion says to type elsewhere.
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

    def told(self) -> dict[str, str | float]:
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
        return self.told() | {"version": version(self.library).partition("+")[0]}


def undriven(
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
        settings=f"{NUMBER:g}, {said(run)}",
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
        settings=f"0.01 and a hundred times that, {said(RUN)}",
        theirs=lambda: measure(1.0, RUN),
        ours=lambda: measure(0.01, RUN),
        rel=rel,
        why=why,
    )


def said(run: Run) -> str:
    """The facts of a run in a few words."""
    facts = [f"lr {run.lr:g}", run.schedule.shape, f"{run.total_steps} steps"]
    facts += [f"warm-up {run.schedule.warmup:g}"] * bool(run.schedule.warmup)
    facts += [f"momentum {run.momentum:g}"] * bool(run.momentum)
    return ", ".join(facts)
