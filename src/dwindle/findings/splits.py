"""Whether a verdict hangs on one validation split: a study beside itself on others.

One split for all seeds leaves out of every interval what the choice of the validation
set does. A study whose seeds each draw their own includes it; the same study on some
fixed splits shows how much that was.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dwindle.findings.model import AxisFindings, Findings
from dwindle.findings.rule_verdict import Course
from dwindle.findings.verdict import course_of


@dataclass(frozen=True, kw_only=True)
class SplitRow:
    """One axis of a study, with a split per seed and with one for all seeds.

    ``fixed`` has the axis by the number of the split. ``verdict`` is which way the best
    λ goes; ``unknown`` also where two splits contradict each other.
    """

    study: str
    resampled: AxisFindings
    fixed: dict[int, AxisFindings]
    verdict: Course

    @property
    def contradicts(self) -> bool:
        """Whether splits that decide do not all decide the same."""
        return len(_decided((self.resampled, *self.fixed.values()))) > 1


def compare_splits(
    resampled: Findings, fixed: Mapping[int, Findings]
) -> tuple[SplitRow, ...]:
    """Return one row per axis of a study.

    A split on which an axis is open contradicts nothing: its interval is wide. Where
    one finds a course and another one none, or the opposite, the axis is undecided.

    Args:
        resampled: The study with a split per seed.
        fixed: The same study with one split for all seeds, by the split's number.

    """
    rows = []
    for axis in resampled.axes:
        others = {
            split: other
            for split, study in fixed.items()
            for other in study.axes
            if other.axis == axis.axis
        }
        agree = len(_decided((axis, *others.values()))) <= 1
        verdict = course_of(axis) if agree else "unknown"
        rows.append(
            SplitRow(
                study=resampled.study, resampled=axis, fixed=others, verdict=verdict
            )
        )
    return tuple(rows)


def _decided(axes: tuple[AxisFindings, ...]) -> set[Course]:
    return {course_of(axis) for axis in axes} - {"unknown"}
