"""Whether all ways of training end with the same losses, trial by trial."""

from collections.abc import Mapping

from rich.console import Console
from tasks import DIGITS

from dwindle.store.records import Trial
from dwindle.study.engine import train_pack

TOLERANCE = 1e-4
_EXACT = 1e-5

Losses = Mapping[Trial, float]


def count_unequal(losses: Mapping[str, Losses], console: Console) -> int:
    """Print how far packs and plain loops are apart; count trials that disagree.

    Most differ in the seventh digit. Now and then a unit of one training sits so
    near to the kink of its ReLU that rounding decides the side, and a few 1e-5 of loss
    follow, sometimes more. So a trial that is more than 1e-4 apart is trained again in
    float64: it counts as unequal unless float64 says that exactly one was rounded away
    from it.
    """
    unequal, packs = 0, losses["pack"]
    for name in ("loop", "parallel"):
        apart = {
            trial: abs(loss - packs[trial]) for trial, loss in losses[name].items()
        }
        far = [trial for trial, distance in apart.items() if distance > TOLERANCE]
        console.print(
            f"  losses of packs and {name}: {len(apart)} trainings compared, at most"
            f" {max(apart.values()):.1g} apart, {len(far)} beyond {TOLERANCE:g}"
        )
        for trial in far:
            exact = train_pack([trial], problem=DIGITS, dtype="float64")[0].loss
            ours, theirs = packs[trial], losses[name][trial]
            console.print(
                f"    λ {trial.weight_decay:.3g}, seed {trial.seed}: pack {ours:.6f},"
                f" {name} {theirs:.6f}, in float64 {exact:.6f}"
            )
            away = [abs(loss - exact) > _EXACT for loss in (ours, theirs)]
            unequal += sum(away) != 1
    return unequal
