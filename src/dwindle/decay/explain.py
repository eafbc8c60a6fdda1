"""Explain: what a decay does to a weight, in every unit."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from dwindle import wording
from dwindle.decay import remarks
from dwindle.decay.coordinates import (
    e_folds_from_number,
    has_shrink,
    penalty_convention_of,
    shrink_from_number,
    survival_from_number,
)
from dwindle.decay.equilibrium import EQUILIBRIA, MOST_THAT_STAYS, rms_at_end
from dwindle.decay.evidence.peers import Among, peers_of, placed
from dwindle.decay.families import family_of, has_momentum
from dwindle.decay.formulas import update_line
from dwindle.decay.half_life import (
    HalfLife,
    average_half_life_steps,
    half_life_from_shrink,
)
from dwindle.decay.knob import Knob
from dwindle.decay.knobs import KNOBS
from dwindle.decay.own_facts import (
    default_note,
    facts_of,
    resolved,
    runs_at_knobs,
    schedule_notes,
    unused_facts,
)
from dwindle.decay.python_inputs import RunLike, read_input
from dwindle.decay.read_numbers import Clock, how_it_was_read
from dwindle.decay.remarks import Remark
from dwindle.decay.run import Run
from dwindle.decay.setting import Setting, at_peak, read_setting
from dwindle.decay.strength import decay_summary, times_grown
from dwindle.errors import MissingFactError, OscillationError, RangeError
from dwindle.plain import Plain
from dwindle.show import (
    Column,
    Drawable,
    Line,
    Sheet,
    Shown,
    Table,
    facts,
    pointed,
)
from dwindle.wording import TERMINAL, Face, first_notes, number, percent, time_cell

_T = TypeVar("_T")
ClockTimes = Mapping[str, float | None]
# Clocks in the order of their columns.
_CLOCK_ORDER: tuple[Clock, ...] = ("steps", "examples", "epochs", "run", "tokens")
# True of most optimizers, and no reason to type another number.
_QUIET = {"no-penalty", "no-equilibrium"}


@dataclass(frozen=True, kw_only=True, repr=False)
class Explanation(Shown, Plain):
    """What a decay does; None is what does not exist, and a warning has the reason.

    Args:
        knob: Where the number is typed.
        value: The number.
        family: Update rule that reads it; None for a bare penalty or a half-life.
        shrink_per_step: Fraction that a step at the peak lr takes off a weight with
            zero gradient.
        half_life: Time until such a weight has halved, at the peak lr, on every clock.
        half_life_average: The same, averaged over the run.
        e_folds: -ln of what the run leaves of such a weight.
        kept: What the run leaves of it.
        equilibrium_rms: Root mean square weight that decay and noise settle at, or
            would if the lr stayed at its peak.
        rms_at_end: The same at the end of the run, under its schedule.
        rotation_per_step: Angle in radians that a weight vector then turns per step.
        penalty: Canonical coefficient λ of mean loss + (λ/2)·Σw².
        warnings: Remarks on the numbers, the most important first.
        update: What one step does to a weight, in a line of mathematics with the
            numbers in it; of a bare penalty, the objective.
        understood: How numbers given as text were read, where the text is another one,
            and which facts of a live optimizer were overridden.
        summary: What it does to a weight, in one line.
        strength: Degree of its total decay: a name of ``STRENGTHS``.
        lr_stays: Whether the lr is at its peak in every step.
        among: Where its total decay lies among published recipes of its kind.
        decay_schedule: Shape and ends of the number, where it has a schedule.

    """

    knob: str
    value: float
    family: str | None
    shrink_per_step: float | None = None
    half_life: ClockTimes = field(hash=False)
    half_life_average: ClockTimes = field(hash=False)
    e_folds: float | None = None
    kept: float | None = None
    equilibrium_rms: float | None = None
    rms_at_end: float | None = None
    rotation_per_step: float | None = None
    penalty: float | None = None
    warnings: tuple[Remark, ...] = ()
    update: str = ""
    understood: tuple[str, ...] = ()
    summary: str = ""
    strength: str | None = None
    lr_stays: bool = True
    among: Among | None = None
    decay_schedule: str = ""

    def drawn(self, *, all_notes: bool = False, face: Face = TERMINAL) -> Sheet:
        """Return the drawing of a terminal and of a notebook.

        Args:
            all_notes: Whether every note is in it, not the three that matter most.
            face: Where it is read.

        """
        title = f"{self.knob} = {KNOBS[self.knob].typed(self.value)}"
        name = Line(text=title, style="bold cyan", indent=2, whole=True)
        summary = Line(text=self.summary, style="bold", indent=2)
        notes = [*self.understood, *self._notes(face, all_notes=all_notes)]
        below = ("", pointed(notes)) if notes else ()
        of_run = facts(self._facts(), indent=2)
        return Sheet(parts=(name, summary, "", *self._half_lives(), of_run, *below))

    _drawn = drawn

    def _notes(self, face: Face, *, all_notes: bool) -> Sequence[str]:
        if all_notes:
            return [each.text for each in self.warnings]
        known = any(self.half_life.values())
        # Facts for further clocks are of interest only while no half-life is known.
        quiet = _QUIET | ({"missing-fact"} if known else set())
        notes = [each.text for each in self.warnings if each.code not in quiet]
        return first_notes(notes, face.all_notes)

    def _half_lives(self) -> Iterator[Drawable | str]:
        clocks = [name for name, value in self.half_life.items() if value is not None]
        if not clocks:
            return
        times = {"at the peak lr": self.half_life}
        if any(self.half_life_average[name] is not None for name in clocks):
            times["run average"] = self.half_life_average
        heads = ({"run": "of the run"}.get(name, name) for name in clocks)
        counts = (Column(name, "number", "bold") for name in heads)
        rows = [
            (title, *(time_cell(name, each) for name in clocks))
            for title, each in times.items()
        ]
        yield Table(
            columns=(Column("half-life", style="dim"), *counts), rows=rows, indent=2
        )
        yield ""

    def _facts(self) -> dict[str, str]:
        kept, grown = self.kept, times_grown(self.e_folds, self.kept)
        left = f" ({percent(kept)} of a weight is left)" if kept is not None else ""
        # JSON has no infinity, so None is both infinite e-folds and unknown ones; what
        # is kept, 0 or None, distinguishes them.
        is_endless = self.e_folds is None and self.kept == 0
        e_folds = "∞" if is_endless else _known(self.e_folds)
        turn, at_peak = (
            self.rotation_per_step,
            "" if self.lr_stays else ", at the peak lr",
        )
        degrees = "" if turn is None else f" rad ({math.degrees(turn):.3g}°){at_peak}"
        settle, end = self.equilibrium_rms, self.rms_at_end
        if math.isclose(end or 0, settle or 0, rel_tol=0.01):
            end = None  # two sizes that differ by less are drawn as one
        # Under a falling lr weights end above or below their equilibrium at the peak.
        settles = "weights settle at" if self.lr_stays else "weights would settle at"
        return {
            "a step": self.update,
            "decay": self.decay_schedule,
            "shrink per step": _known(self.shrink_per_step),
            "e-folds of the run": "" if grown else e_folds + left,
            "after the run": grown,
            "recipes": self.among.text if self.among else "",
            "penalty λ": _known(self.penalty, "  in: mean loss + λ/2 · Σ w²"),
            settles: _known(settle, f"  (RMS){at_peak}"),
            "weights end at": _known(end, "  (RMS)"),
            "weights turn per step": _known(turn, degrees),
        }

    def __repr__(self) -> str:
        half_life = wording.half_life(self.half_life) or "not known"
        return (
            f"<Explanation: {self.knob} = {number(self.value)}, half-life {half_life}>"
        )


def _known(value: float | None, unit: str = "") -> str:
    """Return a number with its unit, or nothing where it is not known."""
    return "" if value is None else f"{number(value)}{unit}"


def explain(
    value: object,
    knob: object = None,
    *,
    run: RunLike | None = None,
    regime: str | None = None,
    normalized: bool | None = None,
) -> Explanation:
    """Return what a decay does, as far as the facts of the run determine it.

    The knob and its value may stand in either order; a live optimizer is both, and
    brings its lr, momentum and betas along.

    Args:
        value: What is typed at ``knob``: a number or its text.
        knob: Where it is typed, for example ``"torch.optim.SGD"``, or the class.
        run: Facts of the training, also as a mapping; what is missing is named in a
            warning.
        regime: ``single-pass``, ``many-epochs``, ``fine-tuning`` or ``lora``: recipes
            that it is compared with; without it, inferred from the facts.
        normalized: Whether the network has normalization layers.

    Returns:
        Shrink, half-lives, total decay, equilibrium and penalty, with warnings.

    Raises:
        RangeError: If the value is impossible.
        UnknownNameError: If the knob is not known; the nearest are offered.
        AmbiguousNameError: If a short name fits several knobs.

    Example:
        >>> run = Run(lr=1e-3, batch_size=100, dataset_size=50_000, epochs=20)
        >>> there = explain(0.1, "torch.optim.AdamW", run=run)
        >>> there.shrink_per_step, round(there.half_life["epochs"], 2)
        (0.0001, 13.86)
        >>> explain(0.1, "torch.optim.Adam", run=run).warnings[0].code
        'coupled-adaptive'
        >>> explain("torch.optim.AdamW", 0.1, run={"lr": 1e-3}).shrink_per_step
        0.0001

    """
    given = read_input(value, knob)
    overruled = given.overruled(run)
    typed, run = read_setting(given.value, given.knob), given.run(run)
    setting = at_peak(typed, run)
    (run,) = runs_at_knobs((setting.knob, run))
    is_text = isinstance(given.value, str) and not typed.knob.is_half_life
    text = str(given.value) if is_text else ""
    read = text and how_it_was_read(typed.knob.name, text, typed.number)
    understood = (*filter(None, [read]), *run.read_as, *overruled)
    found = explain_setting(setting, run)
    among = None
    if found.e_folds is not None:
        peers = peers_of(setting.knob, run, regime=regime, normalized=normalized)
        among = None if peers is None else placed(found.e_folds, peers, run)
    return replace(found, understood=understood, among=among)


def explain_setting(setting: Setting, run: Run) -> Explanation:
    """Return what a decay does, as :func:`explain` does, of a value that was read."""
    return _Explainer(setting, run).explanation()


class _Explainer:
    """Computes what is known of one setting, and collects missing facts.

    One remark per missing fact then lists everything that it would add.
    """

    def __init__(self, setting: Setting, run: Run) -> None:
        self._knob, self._number = setting.knob, setting.number
        self._run = resolved(setting.knob, run)
        self._defaults = (
            default_note(setting.knob, run),
            *schedule_notes((setting.knob, self._run)),
        )
        self._lacking: dict[str, list[str]] = {}
        # Of the run as it was given: defaults are not reported as unused.
        self._remarks = [*remarks.of_unused(unused_facts(setting.knob, run))]

    def explanation(self) -> Explanation:
        """Return everything that follows from the facts."""
        shrink = self._of_shrink("a shrink per step", shrink_from_number)
        at_peak, average, e_folds, kept = self._over_time(shrink)
        settled = self._settled(shrink, kept)
        penalty = self._penalty()
        notes = remarks.by_importance(
            (
                *remarks.of_setting(self._knob, self._number, self._run),
                *(Remark("library-default", each) for each in self._defaults if each),
                *self._remarks,
                *remarks.of_decay(shrink, at_peak, average, self._run, self._knob),
                *remarks.of_schedule(self._knob, shrink, self._run),
                *remarks.of_run(e_folds, kept),
                *(
                    Remark.of("missing-fact", option=option, what=", ".join(what))
                    for option, what in self._lacking.items()
                ),
            )
        )
        lr_stays = self._run.schedule.is_constant
        summary, strength = decay_summary(
            at_peak,
            e_folds,
            at_peak=not lr_stays,
            # A rate names no optimizer, and needs none.
            codes={each.code for each in notes}
            - ({"no-optimizer"} if self._knob.is_rate else set()),
            lacking=[
                option
                for option, what in self._lacking.items()
                if "a shrink per step" in what
            ],
        )
        return Explanation(
            knob=self._knob.name,
            value=self._number,
            family=self._knob.family,
            shrink_per_step=shrink,
            half_life=at_peak,
            half_life_average=average,
            e_folds=None if e_folds is None or not math.isfinite(e_folds) else e_folds,
            kept=kept,
            **settled,
            penalty=penalty,
            update=update_line(self._knob, self._number, self._run),
            warnings=notes,
            summary=summary,
            strength=strength,
            lr_stays=lr_stays,
            decay_schedule=self._run.decay_schedule.ends_of(self._number),
        )

    def _attempt(self, what: str, formula: Callable[[], _T]) -> _T | None:
        """Return the result of a formula, or note the fact that it lacks."""
        try:
            return formula()
        except MissingFactError as error:
            lacking = self._lacking.setdefault(error.option, [])
            lacking.extend([what] * (what not in lacking))
        except (OscillationError, RangeError) as error:
            swings = isinstance(error, OscillationError)
            code = "oscillation" if swings else "impossible"
            text = str(error)
            # The user typed a decay, not the shrink, which is its product with the lr.
            if getattr(error, "name", "") == "shrink_per_step" and self._knob.family:
                text = (
                    "A step must take less than the whole weight. Got "
                    f"{error.value:g} times it. Lower the weight decay or the lr."
                )
            self._remarks.append(Remark(code, text))
        except OverflowError:
            self._remarks.append(Remark.of("growth"))
        # 1 over a shrink that is below the smallest float.
        except ZeroDivisionError:
            self._remarks.append(Remark.of("underflow", what=what))
        return None

    def _of_shrink(
        self, what: str, formula: Callable[[Knob, float, Run], float]
    ) -> float | None:
        if not has_shrink(self._knob, self._run):
            return None
        return self._attempt(what, lambda: formula(self._knob, self._number, self._run))

    def _over_time(
        self, shrink: float | None
    ) -> tuple[ClockTimes, ClockTimes, float | None, float | None]:
        """Return half-lives at the peak and on average, e-folds, and what is left."""
        run, number = self._run, self._number
        clock = self._knob.clock if self._knob.is_half_life else None
        steps = None
        if shrink is not None:  # of a tiny half-life s keeps no digit
            half_life = HalfLife(number, clock) if clock else None
            steps = (
                half_life.in_steps(run) if half_life else half_life_from_shrink(shrink)
            )
        # A half-life that was typed is known without any fact.
        typed: dict[str, float] = {}
        if clock and 0 < number < math.inf:
            typed[clock] = number
        if (
            clock == "run"
            and number
            and run.is_constant
            and "steps" not in run.quantities()
        ):
            at_peak = {**self._on_clocks(steps), **typed}
            return at_peak, at_peak, math.log(2) / number, 2 ** (-1 / number)
        e_folds = self._of_shrink("e-folds", e_folds_from_number)
        kept = self._of_shrink("what the run leaves", survival_from_number)
        at_peak = {**self._on_clocks(steps), **typed}
        average = None
        # After a swing through zero the size of what is left gives no rate.
        if e_folds is not None and kept is not None and min(e_folds, kept) >= 0:
            average = average_half_life_steps(e_folds, run=run)
        return at_peak, dict(self._on_clocks(average)), e_folds, kept

    def _on_clocks(self, steps: float | None) -> ClockTimes:
        if steps is None or not 0 < steps < math.inf:
            return dict.fromkeys(_CLOCK_ORDER)
        return {
            clock: self._attempt(
                f"half-lives in {clock}" if clock != "run" else "shares of the run",
                lambda clock=clock: (
                    HalfLife.from_steps(  # type: ignore[misc]
                        steps, clock=clock, run=self._run
                    ).value
                ),
            )
            for clock in _CLOCK_ORDER
        }

    def _settled(
        self, shrink: float | None, kept: float | None
    ) -> dict[str, Any]:  # Any: for the fields of a record
        """Return where weights settle; the RMS where it needs no noise to be known."""
        name, run = self._knob.equilibrium, self._run
        if has_momentum(self._knob):
            # An optimizer that needs a momentum is not computed without one.
            whole = self._attempt(
                "a rotation per step", lambda: facts_of(self._knob, run)
            )
            if whole is None:
                return {}
        # Without decay, or at an lr of 0, nothing settles; nor where a step takes more
        # than the whole weight, which has a remark already.
        codes = {each.code for each in self._remarks} if shrink is None else set()
        if name is None or 0 in {self._number, run.lr} or "impossible" in codes:
            return {}
        balance = EQUILIBRIA[name]
        there = self._attempt(
            "a rotation per step", lambda: balance(self._decay_at(run), run)
        )
        if there is None:
            return {}
        if shrink and kept is not None and abs(kept) > MOST_THAT_STAYS:
            self._remarks.append(remarks.of_short_run(kept, shrink))
            return {}
        at_end = self._attempt(
            "the size of weights at the end",
            lambda: rms_at_end(
                run,
                equilibrium=lambda here, decay: balance(
                    decay * self._decay_at(here), here
                ),
                shrink_per_step=self._shrink_at,
            ),
        )
        # The RMS of SGD is in units of its unknown noise: it stands in a remark.
        if name != "sgd":
            sizes = {"equilibrium_rms": there.rms, "rms_at_end": at_end}
            return sizes | {"rotation_per_step": there.rotation_per_step}
        self._remarks.append(remarks.of_noise(there.rms, at_end, run))
        return {"rotation_per_step": there.rotation_per_step}

    def _decay_at(self, here: Run) -> float:
        """Return the number that, times the lr of ``here``, is the decay there."""
        lr, peak = (run.require("lr", "The equilibrium") for run in (here, self._run))
        family = family_of(self._knob)
        return self._number * (family.beside_lr(lr, peak) if family else 1.0)

    def _shrink_at(self, here: Run, decay: float) -> float:
        if has_momentum(self._knob):
            return shrink_from_number(self._knob, decay * self._number, here)
        return decay * self._decay_at(here) * here.require("lr", "The equilibrium")

    def _penalty(self) -> float | None:
        convention = penalty_convention_of(self._knob)
        if convention is None:
            return None
        if convention.normalization != "none":
            self._remarks.append(Remark.of("per-layer", name=self._knob.name))
            return None
        return self._attempt(
            "a penalty",
            lambda: convention.penalty_from_number(self._number, self._run),
        )
