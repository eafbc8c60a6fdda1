"""Evidence at a glance: what to expect of each quantity, and what nobody measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from dwindle.decay.evidence.posterior import cell_of
from dwindle.decay.evidence.records import (
    FAMILIES_OF_EVIDENCE,
    KINDS,
    QUANTITIES,
    Z90,
    EvidenceFamily,
    KindOfRun,
    Record,
)

# A run that sees its data once has tokens, and one that sees it again has epochs.
_ONCE_ONLY = {"tokens", "params-tpp", "params-compute"}
_AGAIN_ONLY = {"dataset", "epochs", "repetition"}


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The exponent of a quantity to expect in a new setting of a cell.

    Args:
        kind_of_run: Class of the training.
        family: Family of the optimizer.
        quantity: What grows.
        exponent: Power that the best lr·λ goes with.
        low: Lower end of its 90 % range.
        high: Upper end.
        measured: Records of that quantity in the cell that were measured.
        restated: Rules for it there that were only restated.

    """

    kind_of_run: KindOfRun
    family: EvidenceFamily
    quantity: str
    exponent: float
    low: float
    high: float
    measured: int
    restated: int


def expected(
    records: Sequence[Record], quantities: Sequence[str] = tuple(QUANTITIES)
) -> tuple[Expected, ...]:
    """Return what to expect of quantities, in every cell where they make sense.

    Example:
        >>> from dwindle.decay.evidence.records import read_evidence
        >>> there = expected(read_evidence().records, ["tokens"])
        >>> {each.kind_of_run for each in there}
        {'single-pass'}

    """
    return tuple(
        _expected(kind, family, name, records)
        for kind in KINDS
        for family in FAMILIES_OF_EVIDENCE
        for name in quantities
        if name not in (_AGAIN_ONLY if kind == "single-pass" else _ONCE_ONLY)
    )


def _expected(
    kind: KindOfRun, family: EvidenceFamily, name: str, records: Sequence[Record]
) -> Expected:
    mean, sd = cell_of(kind, family).of(QUANTITIES[name].form)
    here = [
        each.kind
        for each in records
        if (each.kind_of_run, each.family, each.quantity) == (kind, family, name)
    ]
    restated = here.count("restated")
    return Expected(
        kind_of_run=kind,
        family=family,
        quantity=name,
        exponent=mean,
        low=mean - Z90 * sd,
        high=mean + Z90 * sd,
        measured=len(here) - restated,
        restated=restated,
    )


def nobody_measured(everything: Sequence[Expected]) -> tuple[Expected, ...]:
    """Return those that no record measures: a rule may have been restated for them."""
    return tuple(each for each in everything if not each.measured)
