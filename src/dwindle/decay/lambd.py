"""The second decay of torch.optim.ASGD as a family of its own: the knob ``lambd``."""

from dwindle.decay.families import Family, asgd_family
from dwindle.decay.half_life import checked_e_folds, checked_knob, checked_shrink
from dwindle.decay.root import increasing_root
from dwindle.decay.run import Run

_NEED = "The shrink of ASGD"


def shrink_per_step(knob: float, run: Run) -> float:
    """Fraction that a first step at the peak lr takes off: ``lr · lambd``."""
    return checked_shrink(checked_knob(knob) * run.require("lr", _NEED))


def knob_for_shrink(shrink: float, run: Run) -> float:
    """``lambd`` with this shrink in a first step at the peak lr."""
    return checked_shrink(shrink) / run.require("lr", _NEED)


def survival(knob: float, run: Run) -> float:
    """What the run leaves of a weight with zero gradient."""
    return asgd_family(lambd=checked_knob(knob)).survival(0.0, run)


def survival_path(knob: float, run: Run) -> list[float]:
    """What 0, 1, … steps leave of a weight with zero gradient."""
    return asgd_family(lambd=checked_knob(knob)).survival_path(0.0, run)


def e_folds(knob: float, run: Run) -> float:
    """Return -ln of what the run leaves; ``lambd`` also slows its own step size."""
    return asgd_family(lambd=checked_knob(knob)).e_folds(0.0, run)


def knob_for_e_folds(target: float, run: Run) -> float:
    """``lambd`` with these e-folds over the run."""
    if checked_e_folds(target) == 0:
        return 0.0
    lr = run.require("lr", _NEED)
    ceiling = 1 / lr
    guess = min(target / (lr * run.total_steps), ceiling / 2)
    return increasing_root(
        lambda knob: e_folds(knob, run), target, guess=guess, ceiling=ceiling
    )


LAMBD = Family(
    name="asgd-lambd",
    title="ASGD, its lambd",
    formula="w ← w − x·e_t·w with e_t = η/(1 + x·η·t)^0.75",
    has_half_life=True,
    shrink_per_step=shrink_per_step,
    knob_for_shrink=knob_for_shrink,
    survival=survival,
    survival_path=survival_path,
    e_folds=e_folds,
    knob_for_e_folds=knob_for_e_folds,
)
