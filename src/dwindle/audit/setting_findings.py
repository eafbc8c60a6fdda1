"""Findings on one setting: its effect in a run, compared with published runs."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dwindle.audit.findings import Finding, GroupLine, Paste, Unchecked, number_line
from dwindle.decay.convert import convert
from dwindle.decay.coordinates import shrink_from_number
from dwindle.decay.evidence.peers import resolve_regime
from dwindle.decay.evidence.recipes import PublishedRecipe, recipes
from dwindle.decay.evidence.records import KindOfRun
from dwindle.decay.explain import Explanation, explain
from dwindle.decay.families import FAMILIES, STAYS, has_no_rate
from dwindle.decay.knobs import KNOBS, resolve_knob
from dwindle.decay.number_formats import DEAD_BELOW, STALLING
from dwindle.decay.own_facts import resolved
from dwindle.decay.remarks import Remark, of_decay
from dwindle.decay.run import Run
from dwindle.errors import DwindleError, OscillationError

# Facts that an audit lacks: the field of a run, and the option of the command line.
_DATA = "dataset_size (--dataset-size) and batch_size (--batch-size)"
_LENGTH = f"steps (--steps), or epochs (--epochs) with {_DATA}"
# A schedule has one shape at every length.
_SAMPLED_STEPS = 1000
_FADED = 0.1  # of the peak: what does not fall with the lr is then ten times as much
# nanoGPT's weights remember 11,552 steps, 0.64 epochs of its data; TinyLlama's 17,328.
_REMEMBERED_STEPS = 1000
# A half-life of more runs than this is no decay that a little more would mend.
_HOPELESS_RUNS = 10
SHARE_THAT_ACTS = "20% of the run"
_PARTS = 5  # of the run, of which that is one
# Classes of torch with the option decoupled_weight_decay, which makes Adam an AdamW.
SWITCHED = frozenset(f"torch.optim.{name}" for name in ("Adam", "NAdam", "RAdam"))

# A setting is reported beyond so many times the least or most decay of its kind.
_MARGIN = 2.0
# A run with so many times less lr, or fewer steps, than all recipes of its kind is a
# fine-tuning or a trial: it is compared with none.
_TIMES_LESS = 10
# Those of networks with normalization layers.
_OF_TODAY: tuple[KindOfRun, ...] = ("single-pass", "many-epochs-normalized")
# Kinds of runs from scratch that count as practice, by network. Convolutions without
# normalization layers, as in AlexNet, are history; recurrent layers have none.
_FROM_SCRATCH: Mapping[str, tuple[KindOfRun, ...]] = {
    "convolutional network": _OF_TODAY,
    "vision transformer": _OF_TODAY,
    "language model": _OF_TODAY,
    "recurrent language model": ("many-epochs-plain",),
}
# Detectors begin with a trained backbone.
_DOMAINS = ("vision", "language")

# Codes by the warnings of an explanation; its other warnings are no fault of a setting.
# DW010 and DW011 are computed from the numbers, which a scheduler may have changed.
_CODES: Mapping[str, str] = {
    "dead-zone": "DW009",
    "stalls": "DW009",
    "oscillation": "DW012",
    "second-decay": "DW013",
    "rounding": "DW023",
    "growth": "DW024",
    "swing": "DW024",
    "nothing-left": "DW024",
    # Where the number sets no rate: only a penalty has a decoupled twin to use.
    **{
        each.name: "DW008" if each.is_penalty else "DW025"
        for each in FAMILIES.values()
        if not each.has_half_life
    },
}
# Codes, or prefixes of them, that are not checked without a shrink per step.
SIZES = ("DW009", "DW01", "DW023", "DW024", "DW026")


@dataclass(frozen=True, kw_only=True)
class JudgedSetting:
    """A setting with what it does and what is wrong with it."""

    explanation: Explanation
    findings: tuple[Finding, ...]
    unchecked: tuple[str, ...]


def findings_of_setting(
    knob: str, value: float, run: Run, *, where: str = ""
) -> tuple[Finding, ...]:
    """Return what is wrong with a number, typed at a knob, in a run; see `judge`.

    Example:
        >>> run = Run(lr=1e-3, dtype="bfloat16")
        >>> [f.code for f in findings_of_setting("torch.AdamW", 0.1, run)]
        ['DW009']

    """
    return judge(knob, value, run, where=where).findings


def judge(knob: str, value: float, run: Run, *, where: str = "") -> JudgedSetting:
    """Explain a setting and find what is wrong with it, in size and in kind.

    What lacks a fact is not checked; 0 has no findings, for not to decay is no fault.
    """
    judged = judge_explained(explain(value, knob, run=run), run, where=where)
    findings = tuple(
        _ADVICE[each.code](each, judged.explanation, run)
        if each.code in _ADVICE
        else each
        for each in judged.findings
    )
    return replace(judged, findings=findings)


def judge_explained(
    explanation: Explanation, run: Run, *, where: str = "", named: str = ""
) -> JudgedSetting:
    """Find what is wrong with a setting that was explained, without advice.

    Where its program has a scheduler, it was explained along that. ``named`` is the
    name of the optimizer in findings, and ``where`` the place.
    """
    family = FAMILIES.get(str(explanation.family))
    if explanation.value == 0 and not (family and family.always_on):
        return JudgedSetting(explanation=explanation, findings=(), unchecked=())
    found = dict(_seen(explanation, run, named or explanation.knob))
    if "DW012" in found:  # a weight that swings has an impossible size as well
        found.pop("DW024", None)
    if explanation.value == 0:  # only the second decay is left to be judged
        found = {code: each for code, each in found.items() if code == "DW013"}
    is_still = explanation.half_life_average["run"] == math.inf
    if is_still:  # no step is taken at the peak lr, where sizes are computed
        found = {
            code: each for code, each in found.items() if not code.startswith(SIZES)
        }
        found["DW010"] = {"lr_all_along": 0.0}
    # Good recipes have such half-lives as well.
    is_slight = {
        "DW010": is_as_good_as_none(explanation),
        "DW011": (explanation.half_life["steps"] or 0.0) >= _REMEMBERED_STEPS,
    }
    findings = tuple(
        Finding(
            code=code,
            where=where,
            values=values,
            is_slight=is_slight.get(code, False),
            case={"DW013": "default", "DW010": "still" if is_still else ""}.get(
                code, ""
            ),
        )
        for code, values in found.items()
    )
    return JudgedSetting(
        explanation=explanation,
        findings=findings,
        unchecked=tuple(_unchecked(explanation, run, found)),
    )


def _seen(
    explanation: Explanation, run: Run, named: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield codes with their values; of warnings with one code the first counts."""
    seen: set[str] = set()
    codes = dict(_CODES)
    # Without a shrink per step an impossible number is a fault; a run that is too long
    # to be followed is none.
    if explanation.shrink_per_step is None:
        codes["impossible"] = "DW024"
    if run.dtype in STALLING:
        codes["late-dead-zone"] = "DW023"
    for warning in explanation.warnings:
        code = codes.get(warning.code)
        if code is not None and code not in seen:
            seen.add(code)
            yield code, _values(warning, explanation, run, named)
    for warning in of_decay(
        None, explanation.half_life, explanation.half_life_average, run
    ):
        if warning.code == "longer-than-the-run":
            yield "DW010", {"runs": explanation.half_life_average["run"]}
        else:
            yield "DW011", {"epochs": explanation.half_life["epochs"]}
    # A schedule is sampled at any length: does the lr fall while the decay stays?
    falls = run.schedule.multipliers(_SAMPLED_STEPS)[-1] < _FADED
    family = FAMILIES.get(str(explanation.family))
    if family is not None and family.course == STAYS and falls:
        yield "DW026", {"shrink": explanation.value, "final": run.schedule.final}


def _values(
    warning: Remark, explanation: Explanation, run: Run, named: str
) -> dict[str, Any]:
    """Return what was seen, by the names that the templates of its code have."""
    shrink, dead = explanation.shrink_per_step or 0.0, DEAD_BELOW[run.dtype]
    size = {"shrink": shrink, "dtype": run.dtype}
    if warning.code in FAMILIES:
        return {"reason": FAMILIES[warning.code].reason(named, KNOBS[explanation.knob])}
    if warning.code == "dead-zone":
        return size | {"dead": dead}
    if warning.code == "stalls":
        return size | {"units": shrink / dead}
    if warning.code != "oscillation":
        return {"seen": warning.seen}
    # The largest number at which momentum does not make a weight swing.
    knob = resolve_knob(explanation.knob)
    try:
        shrink_from_number(knob, explanation.value, resolved(knob, run))
    except OscillationError as error:
        return {
            "value": explanation.value,
            "limit": error.limit,
            "momentum": error.momentum,
            "fastest": error.fastest_half_life_steps,
        }
    return {}


def is_as_good_as_none(explanation: Explanation) -> bool:
    """Return whether the half-life is so long that no decay can have been meant."""
    runs = explanation.half_life_average["run"]
    return runs is None or runs > _HOPELESS_RUNS


def _unchecked(
    explanation: Explanation, run: Run, found: Collection[str]
) -> Iterator[str]:
    """Yield sentences on what was not checked for want of a fact."""
    missing = [
        each.text for each in explanation.warnings if each.code == "missing-fact"
    ]
    if not missing:
        return
    if explanation.shrink_per_step is None:
        # A finding may show why there is no size: an impossible one, or no rate at all.
        is_shown = {"DW012", "DW024"} & set(found)
        if not has_no_rate(KNOBS[explanation.knob]) and not is_shown:
            give = ": give lr (--lr)." if run.lr is None else f". {missing[0]}"
            yield Unchecked(f"Sizes of the decay were not checked{give}", *SIZES)
        return
    if explanation.e_folds is None:
        yield Unchecked(f"DW010 was not checked: give {_LENGTH}.", "DW010")
    if explanation.half_life["epochs"] is None:
        yield Unchecked(f"DW011 was not checked: give {_DATA}.", "DW011")


def number_for(half_life: str, knob: str, run: Run) -> float | None:
    """Return the number at a knob for a half-life; None where no number makes it."""
    try:
        return convert(half_life, "half-life", to=knob, run=run).value
    except DwindleError:
        return None


def half_life_instead(code: str, run: Run) -> str:
    """Return the half-life to advise where another was too long or too short.

    It lies between one epoch and the run, so that no other finding follows from it.

    Example:
        >>> half_life_instead("DW010", Run(epochs=3))
        '1 epoch'
        >>> half_life_instead("DW011", Run(epochs=90))
        '2 epochs'

    """
    epochs = run.quantities().get("epochs")
    if code == "DW011":
        return "2 epochs" if epochs is None or epochs >= 2 * 2 else "1 epoch"
    is_short = epochs is not None and 1 < epochs < _PARTS
    return "1 epoch" if is_short else SHARE_THAT_ACTS


def _with_half_life(found: Finding, explanation: Explanation, run: Run) -> Finding:
    """Advise the number for a half-life within the run, where a number makes it."""
    knob, was = explanation.knob, explanation.value
    if found.code == "DW010" and is_as_good_as_none(explanation):
        return typing(replace(found, case="zero"), knob, 0.0, was)
    half_life = half_life_instead(found.code, run)
    found = found.having(asked=half_life)
    number = number_for(half_life, knob, run)
    return found if number is None else typing(found, knob, number, was)


def typing(found: Finding, knob: str, value: float, was: float) -> Finding:
    """Return a finding with the line that types another number at a knob."""
    line = number_line(resolve_knob(knob).symbol, value, was)
    return replace(found.having(number=value, was=was), paste=line)


def _decoupled(found: Finding, explanation: Explanation, _: Run) -> Finding:
    """Advise the switch of torch's own classes that have one, else AdamW."""
    line = "torch.optim.AdamW(params, lr=lr, weight_decay=0.1)"
    if explanation.knob in SWITCHED:
        line = f"{explanation.knob}(params, lr=lr, decoupled_weight_decay=True, ...)"
    return replace(found, paste=Paste(text=line))


def _write(line: str) -> Callable[[Finding, Explanation, Run], Finding]:
    return lambda found, *_: replace(found, paste=Paste(text=line))


_ADVICE: Mapping[str, Callable[[Finding, Explanation, Run], Finding]] = {
    "DW008": _decoupled,
    "DW009": _write(
        'model.float()  # and torch.autocast("cuda", torch.bfloat16) around the loss'
    ),
    "DW010": _with_half_life,
    "DW011": _with_half_life,
    "DW013": _write("torch.optim.ASGD(params, lr=lr, lambd=0.0)"),
}


def recipes_of_practice(family: str | None, model: str | None) -> list[PublishedRecipe]:
    """Return the recipes of a kind of optimizer and of network; none where unknown.

    All train from scratch, and decay.
    """
    record, kinds = FAMILIES.get(str(family)), _FROM_SCRATCH.get(str(model), ())
    if record is None or not record.practice:
        return []
    return [
        each
        for each in recipes()
        if each.model == model
        and each.kind_of_run in kinds
        and each.domain in _DOMAINS
        and FAMILIES[str(each.knob.family)].practice == record.practice
        and each.weight_decay
    ]


def is_within_practice(explanation: Explanation, model: str | None) -> bool:
    """Return whether a recipe of its kind decays as little as this run, or less."""
    alike = [each.e_folds for each in recipes_of_practice(explanation.family, model)]
    e_folds = explanation.e_folds
    return bool(alike) and e_folds is not None and e_folds >= min(alike)


def recipe_finding(
    explanation: Explanation, run: Run, *, model: str | None, where: str = ""
) -> Finding | None:
    """Return the note on a setting that is far from all recipes of its kind.

    An unknown network, or one that starts from trained weights, is compared with none.
    """
    alike = recipes_of_practice(explanation.family, model)
    known = explanation.e_folds is not None and explanation.kept is not None
    # A weight that swings has e-folds too, but no half-life to compare.
    if not (known and explanation.shrink_per_step and is_a_training(run, alike)):
        return None
    e_folds = explanation.e_folds or 0.0
    if not 0 < e_folds < math.inf:
        return None
    least, most = (pick(each.e_folds for each in alike) for pick in (min, max))
    if least / _MARGIN <= e_folds <= most * _MARGIN:
        return None
    recipe = min(alike, key=lambda each: abs(math.log(each.e_folds / e_folds)))
    return Finding(
        code="DW017",
        where=where,
        values={
            "recipe": recipe.name,
            "recipe_keeps": math.exp(-recipe.e_folds),
            "keeps": explanation.kept,
            "half_life_share": recipe.half_life("run"),
            "source": recipe.source,
        },
    )


def is_a_training(run: Run, alike: Sequence[PublishedRecipe]) -> bool:
    """Return whether a run may be from scratch, as recipes of its kind are."""
    steps = run.quantities().get("steps")
    if run.lr is None or steps is None or not alike:
        return False
    if (
        resolve_regime(alike[0].knob, run, regime=None, normalized=True)
        == "fine-tuning"
    ):
        return False
    hot = run.lr * _TIMES_LESS >= min(each.lr for each in alike)
    shortest = min(each.run.total_steps for each in alike)
    return hot and steps * _TIMES_LESS >= shortest


def line_of_setting(
    explanation: Explanation,
    run: Run,
    *,
    group: str,
    parameters: int | None = None,
    numbers: int | None = None,
) -> GroupLine:
    """Return the row of the table that an explanation fills."""
    return GroupLine(
        group=group,
        parameters=parameters,
        numbers=numbers,
        lr=run.lr,
        weight_decay=explanation.value,
        family=explanation.family,
        half_life=explanation.half_life,
        shrink_per_step=explanation.shrink_per_step,
        kept=explanation.kept,
        e_folds=explanation.e_folds,
        dtype=run.dtype,
        knob=explanation.knob,
        run=run,
    )
