"""Repeats our own studies, and makes the records of evidence from their exports.

    python scripts/evidence.py train [NAME ...] [--folder build/evidence] [--workers 2]
    python scripts/evidence.py records

``train`` trains studies/NAME.toml, of all files where none is named, as far as its
store does not have it yet, and writes studies/NAME.json.gz; of some studies also on one
split for all seeds, as NAME@0.json.gz and so on. ``records`` makes own_records.toml (of
src/dwindle/decay/evidence), studies/README.md and studies/splits.md of the exports;
then scripts/pool_evidence.py has to run again. A test holds these files and the exports
together.
"""

import argparse
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Literal

from exports import read_export, write_export
from plane import measure_grid

from dwindle.findings.build import findings_of
from dwindle.findings.model import AxisFindings
from dwindle.findings.rule_verdict import Course, course_within
from dwindle.findings.verdict import course_of
from dwindle.stats.slope import CELLS_FOR_A_LAW
from dwindle.store.spec import StudySpec
from dwindle.store.store import StoredStudy, read_study
from dwindle.wording import fixed, measured

ROOT = Path(__file__).parents[1]
STUDIES = ROOT / "studies"
RECORDS = ROOT / "src" / "dwindle" / "decay" / "evidence" / "own_records.toml"
PAGE = STUDIES / "README.md"
SPLITS_PAGE = STUDIES / "splits.md"
# Studies that were also trained on one split for all seeds, with fewer of them and
# without axes of the net's size beside others: what a split does shows there, too.
FIXED = {"digits-adamw-plain": (0, 1, 2), "digits-sgd-plain": (0, 1, 2)}
MOST_SEEDS_OF_FIXED = 12
SIZES = ("width", "depth")
# The smallest half width of a 90 % interval: a standard deviation of .1, as no study of
# one data set says more about another (design, section 9).
LEAST_HALF = 0.1645
# An interval of more than a square root to both sides agrees with every rule (as in
# dwindle.findings.rule_verdict): that is no measurement.
WIDEST = 1.0
LOG = logging.getLogger("dwindle")
CITATION = "our own studies, studies/ of dwindle's repository"
NETS_OF_NORMS = {
    "layernorm": "MLP with LayerNorm",
    "batchnorm": "CNN with BatchNorm",
    "plain": "MLP without normalization",
}
# A word in a study's name -> its class, and how a setting says it; others repeat data.
REGIMES = {
    "single": ("single-pass", ", single pass"),
    "finetuned": ("fine-tuning", ", fine-tuned"),
    "mup": ("many-epochs-plain", ", μP"),
}
DATA = {"digits": "digits", "fashion": "Fashion-MNIST", "text": "text"}
OPTIMIZERS = {"adamw": "AdamW", "sgd": "SGD"}
QUANTITIES = {
    "batch_size": "batch",
    "dataset_size": "dataset",
    "epochs": "epochs",
    "lr": "lr",
    "width": "width",
    "depth": "depth",
}
MUP = ("fashion-mup-mlp",)  # problems whose lr follows the width
HEAD = (
    "# Made by scripts/evidence.py from the exports in studies/: do not edit it.",
    "# The keys are those of records.toml.",
)
Metric = Literal["loss", "error"]  # by what validation judges a training
METRICS: tuple[Metric, ...] = ("loss", "error")
PAGE_HEAD = """\
# Our own studies

Made by `scripts/evidence.py records` from the exports beside this file; `make evidence`
trains what they hold again. Exponents are those of s = lr·λ, the shrink per step, with
90 % intervals. Every seed draws its own split into pool and validation set; what fixed
splits do is in [splits.md](splits.md). A CNN, a net that is fine-tuned and one whose lr
follows its width are trained by `scripts/evidence_nets.py`, the others by the package's
engine. The single pass of a small net over text and the grid of SGD without
normalization are shown and are no records of the evidence: they would overrule what
published networks have measured.

| study | quantity | by loss | by error | cells | remark |
|---|---|---|---|---|---|""".splitlines()
SPLITS_HEAD = """\
Exponents of s = lr·λ with 90 % intervals, and which way the best λ itself goes: with a
split into pool and validation set per seed, and with one split for all seeds. Where
splits that decide contradict each other, the verdict is **undecided**; one that cannot
tell contradicts nothing.
""".splitlines()
# The opposite course, where a quantity is the inverse of the axis that was trained.
OPPOSITE: Mapping[Course, Course] = {"up": "down", "down": "up"}


@dataclass(frozen=True, kw_only=True)
class Exponent:
    """An exponent of s = lr·λ with its limits, and what it was measured over.

    ``course`` is which way the best λ goes, at the lr that the axis has there.
    """

    quantity: str
    metric: Metric
    value: float
    low: float
    high: float
    course: Course
    factor: float
    cells: int
    note: str


def specs() -> dict[str, StudySpec]:
    """Return every study by the name of its export."""
    from evidence_nets import NETS

    from dwindle.study.problems import PROBLEMS
    from dwindle.study.study_file import read_study_file

    PROBLEMS.update(NETS)

    found = {}
    for path in sorted(STUDIES.glob("*.toml")):
        spec = found[path.stem] = read_study_file(path)
        axes = tuple(axis for axis in spec.axes if axis.axis not in SIZES) or spec.axes
        seeds = min(MOST_SEEDS_OF_FIXED, spec.seeds)
        for split in FIXED.get(path.stem, ()):
            name = f"{path.stem}@{split}"
            found[name] = replace(spec, name=name, split=split, seeds=seeds, axes=axes)
    return found


def train(names: Sequence[str], folder: Path, workers: int) -> None:
    """Train what the stores do not have, and write the exports."""
    from evidence_nets import ENGINE, NETS

    from dwindle.study.backends import Processes
    from dwindle.study.driver import run_study
    from dwindle.study.worker import STACKED

    for name, spec in specs().items():
        if names and name not in names:
            continue
        LOG.info("%s", name)
        store = folder / f"{name}.db"
        engine = ENGINE if spec.problem in NETS else STACKED
        with Processes(workers, problem=spec.problem, engine=engine) as backend:
            run_study(spec, store, backend)
        write_export(read_study(store), STUDIES / f"{name}.json.gz")


def exports() -> dict[str, StoredStudy]:
    """Return the studies that have an export, by name."""
    return {
        path.name.removesuffix(".json.gz"): read_export(path)
        for path in sorted(STUDIES.glob("*.json.gz"))
    }


def judged_by(stored: StoredStudy, metric: Metric) -> StoredStudy:
    """Return a study with what judges its trainings in the place of the loss.

    Both are measured of every training, so one study gives the best λ by either. The
    rate is ``(wrong + 1/2) / (samples + 1)``: curves are fitted to logarithms, in which
    a network without a wrong answer would be infinitely better than any other.
    """
    samples = stored.problem.validation_samples
    if metric == "loss" or samples is None:
        return stored
    rows = []
    for trial, outcome in stored.rows:
        rate = outcome.loss
        if outcome.accuracy is not None:
            # A whole number of answers was wrong; the share has its rounding.
            wrong = round((1 - outcome.accuracy) * samples)
            rate = (wrong + 0.5) / (samples + 1)
        rows.append((trial, replace(outcome, loss=rate)))
    return replace(stored, rows=tuple(rows))


@cache
def exponents(stored: StoredStudy) -> tuple[Exponent, ...]:
    """Return every exponent of a study, by loss and by error rate."""
    found: list[Exponent | None] = []
    for metric in METRICS:
        if stored.spec.grid:
            found += _of_grid(stored, metric)
            continue
        axes = findings_of(judged_by(stored, metric)).axes
        found += [_of_axis(stored, axis, metric) for axis in axes]
    return tuple(each for each in found if each)


@dataclass(frozen=True, kw_only=True)
class SplitRow:
    """An exponent with a split per seed, and with one for all seeds by its number."""

    study: str
    resampled: Exponent
    fixed: Mapping[int, Exponent]

    @property
    def contradicts(self) -> bool:
        """Whether splits that decide which way λ goes do not all decide the same."""
        courses = {each.course for each in (self.resampled, *self.fixed.values())}
        return len(courses - {"unknown"}) > 1


def split_rows(studies: Mapping[str, StoredStudy]) -> Iterator[SplitRow]:
    """Yield every exponent of the studies that were also trained on fixed splits."""
    for name, splits in FIXED.items():
        others = {k: f"{name}@{k}" for k in splits if f"{name}@{k}" in studies}
        for resampled in exponents(studies[name]) if name in studies and others else ():
            key = resampled.quantity, resampled.metric
            fixed = {
                k: found
                for k, other in others.items()
                for found in exponents(studies[other])
                if (found.quantity, found.metric) == key
            }
            if fixed:
                yield SplitRow(study=name, resampled=resampled, fixed=fixed)


def _of_axis(
    stored: StoredStudy, axis: AxisFindings, metric: Metric
) -> Exponent | None:
    telling = [
        cell.value
        for cell in axis.cells
        if cell.matters == "yes" and cell.optimum is not None
    ]
    if axis.exponent is None or axis.low is None or axis.high is None:
        return None
    quantity, sign = QUANTITIES[axis.axis], 1
    if axis.axis == "width" and stored.spec.problem in MUP:
        quantity = "width-mup"
    spec = next(each for each in stored.spec.axes if each.axis == axis.axis)
    if axis.axis == "dataset_size" and spec.hold == "steps":
        # As many examples seen of fewer is more repetition.
        quantity, sign = "repetition", -1
    elif axis.axis == "dataset_size" and stored.spec.base.epochs == 1:
        quantity = "tokens"
    shift = 1.0 if axis.axis == "lr" else 0.0  # of λ, and s = lr·λ
    low, high = sorted(sign * limit for limit in (axis.low, axis.high))
    alone, course = axis.leans_on, course_of(axis)
    return Exponent(
        quantity=quantity,
        metric=metric,
        value=sign * axis.exponent + shift,
        low=low + shift,
        high=high + shift,
        course=course if sign > 0 else OPPOSITE.get(course, course),
        factor=max(telling) / min(telling),
        cells=len(telling),
        note=f"without {alone.value:g} it is {fixed(sign * alone.exponent + shift)}"
        if alone
        else "",
    )


def _of_grid(stored: StoredStudy, metric: Metric) -> Iterator[Exponent]:
    plane = measure_grid(judged_by(stored, metric))
    if plane is None:
        return
    pairs = zip(stored.spec.axes, (plane.first, plane.second), strict=True)
    for axis, slope in pairs:
        shift = 1.0 if axis.axis == "lr" else 0.0
        yield Exponent(
            quantity=QUANTITIES[axis.axis],
            metric=metric,
            value=slope.exponent + shift,
            low=slope.low + shift,
            high=slope.high + shift,
            course=course_within(slope.low, slope.high, cells=plane.cells),
            factor=max(axis.values) / min(axis.values),
            cells=plane.cells,
            note="from a grid of batch and lr",
        )


# With the records of this grid the lr's exponent of published single passes moves by
# .125 with all of our own, without them by .08: a tenth is allowed, as below.
SHOWN = frozenset({"fashion-grid-sgd-plain"})


def is_record(found: Exponent) -> bool:
    """Whether an exponent says enough: a law that was checked, a narrow interval."""
    return found.cells >= CELLS_FOR_A_LAW and found.high - found.low <= WIDEST


def parts_of(name: str) -> tuple[str, str, str]:
    """Return data, optimizer and normalization of a study, as its name has them."""
    words = name.split("-")
    return words[0], next(w for w in words if w in OPTIMIZERS), words[-1]


def kind_of_run(name: str) -> str:
    """Return the class of a study's trainings.

    A small net with normalization is beside the small ones, not beside published
    networks: judged by its loss it scales as they do, and sources left out are
    predicted as well or better (error .36, not .37; density −.31, not −.32), with wider
    ranges. With BatchNorm the places differ by less than that (error .344 here, .348
    there; density −.308 and −.301).
    """
    return regime_in(name)[0]


def regime_in(name: str) -> tuple[str, str]:
    """Return the class that a study's name tells, and what its setting says of it."""
    words = name.split("-")
    told = (regime for word, regime in REGIMES.items() if word in words)
    return next(told, ("many-epochs-plain", ""))


def records(studies: Mapping[str, StoredStudy]) -> Iterator[dict[str, object]]:
    """Yield the records of evidence; of a net with a grid batch and lr come from it.

    A single pass of a small net is shown, and is no record: published networks have
    measured that, and its one exponent, of the batch, would move theirs of the lr by
    .21 (a tenth is allowed, a test says); sources left out would be predicted worse
    (error .37, not .34). So is what ``SHOWN`` names.
    """
    splits = {(row.study, row.resampled): row for row in split_rows(studies)}
    for name, stored in studies.items():
        if "@" in name or name in SHOWN or kind_of_run(name) == "single-pass":
            continue
        data, optimizer, norm = parts_of(name)
        has_grid = f"{data}-grid-{optimizer}-{norm}" in studies
        for found in filter(is_record, exponents(stored)):
            if has_grid and not stored.spec.grid and found.quantity in ("batch", "lr"):
                continue
            half = (found.high - found.low) / 2
            low, high = found.low, found.high
            if half < LEAST_HALF:
                low, high = found.value - LEAST_HALF, found.value + LEAST_HALF
            yield {
                "source": f"dwindle {DATA[data]}",
                "setting": setting_of(name, found.metric),
                "quantity": found.quantity,
                "family": "sgd" if optimizer == "sgd" else "adaptive",
                "kind_of_run": kind_of_run(name),
                "exponent": round(found.value, 2),
                "low": round(low, 2),
                "high": round(high, 2),
                "factor": float(found.factor),
                "held": f"all else, as in studies/{name}.toml",
                "tuned": "axis",
                "metric": found.metric,
                "estimator": f"slope of {found.cells} cells' fitted optima",
                "split": _split_of(stored, splits.get((name, found))),
                "kind": "measured",
                "read": "primary text",
                "note": found.note,
            }


def _split_of(stored: StoredStudy, row: SplitRow | None) -> str:
    split = f"one per seed, {stored.spec.seeds} seeds"
    if row is None:
        return split
    if row.contradicts:
        return f"{split}; undecided: which way λ goes changes with fixed splits"
    return f"{split}; {len(row.fixed)} fixed ones agree or cannot tell"


def setting_of(name: str, metric: Metric) -> str:
    """Return the setting of a record: net, data, optimizer and what judges it."""
    data, optimizer, norm = parts_of(name)
    net, _, regime = NETS_OF_NORMS[norm], *regime_in(name)
    return f"{DATA[data]}, {net}, {OPTIMIZERS[optimizer]}{regime}, by {metric}"


def correlations(studies: Mapping[str, StoredStudy]) -> Iterator[dict[str, object]]:
    """Yield how the errors of batch and lr go together on every grid."""
    for (name, stored), metric in product(studies.items(), METRICS):
        if not stored.spec.grid or name in SHOWN:
            continue
        plane = measure_grid(judged_by(stored, metric))
        if plane is not None and all(map(is_record, _of_grid(stored, metric))):
            yield {
                "setting": setting_of(name, metric),
                "first": "batch",
                "second": "lr",
                "r": round(plane.correlation, 2),
            }


def contradictions(studies: Mapping[str, StoredStudy]) -> Iterator[dict[str, object]]:
    """Yield the axes on which, by loss, which way λ goes changes with the split."""
    axes = {quantity: axis for axis, quantity in QUANTITIES.items()}
    for row in split_rows(studies):
        if row.contradicts and row.resampled.metric == "loss":
            spec = studies[row.study].spec
            yield {
                "problem": spec.problem,
                "optimizer": spec.optimizer.name,
                "axis": axes[row.resampled.quantity],
            }


def toml_of(studies: Mapping[str, StoredStudy]) -> str:
    """Return the file of our own records."""
    found = list(records(studies))
    # A source for each data set: sources are left out whole where the model is checked.
    tables: list[tuple[str, dict[str, object]]] = [
        ("source", {"name": source, "citation": CITATION, "year": 2026})
        for source in dict.fromkeys(str(record["source"]) for record in found)
    ]
    tables += [("record", record) for record in found]
    tables += [("correlation", each) for each in correlations(studies)]
    tables += [("contradiction", each) for each in contradictions(studies)]
    texts = [toml_table(table, facts) for table, facts in tables]
    return "\n".join([*HEAD, "", "\n".join(texts)])


def toml_table(name: str, facts: Mapping[str, object]) -> str:
    """Return a table of an array, with its values as TOML has them."""
    lines = [f"[[{name}]]"]
    for key, value in facts.items():
        shown = f'"{value}"' if isinstance(value, str) else f"{value}"
        lines.append(f"{key} = {shown}")
    return "\n".join(lines) + "\n"


def page_of(studies: Mapping[str, StoredStudy]) -> str:
    """Return studies/README.md: every exponent."""
    shown = {name: s for name, s in studies.items() if "@" not in name}
    lines = [*PAGE_HEAD]
    for name, stored in shown.items():
        by_quantity: dict[str, dict[Metric, Exponent]] = {}
        for found in exponents(stored):
            by_quantity.setdefault(found.quantity, {})[found.metric] = found
        for quantity, both in by_quantity.items():
            numbers = [
                measured(each.value, each.low, each.high) if each else "–"
                for each in map(both.get, METRICS)
            ]
            counts = [str(both[m].cells) if m in both else "–" for m in METRICS]
            notes = "; ".join(dict.fromkeys(e.note for e in both.values() if e.note))
            row = (name, quantity, *numbers, " / ".join(counts), notes)
            lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def splits_of(studies: Mapping[str, StoredStudy]) -> str:
    """Return studies/splits.md: what a split does to exponents and verdicts."""
    numbers = sorted({k for splits in FIXED.values() for k in splits})
    heads = ["study", "quantity", "by", "per seed", *(f"split {k}" for k in numbers)]
    lines = [*SPLITS_HEAD, "", f"| {' | '.join(heads)} | verdict |"]
    lines.append("|---" * (len(heads) + 1) + "|")
    for row in split_rows(studies):
        found = [row.resampled, *map(row.fixed.get, numbers)]
        cells = [
            f"{measured(each.value, each.low, each.high)}, {each.course}"
            if each
            else "–"
            for each in found
        ]
        verdict = "**undecided**" if row.contradicts else row.resampled.course
        shown = (row.study, row.resampled.quantity, row.resampled.metric, *cells)
        lines.append(f"| {' | '.join((*shown, verdict))} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train, or make the records."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("train", "records"))
    parser.add_argument("names", nargs="*")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "evidence")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if given.what == "train":
        train(given.names, given.folder, given.workers)
        return
    studies = exports()
    RECORDS.write_text(toml_of(studies), "utf-8")
    PAGE.write_text(page_of(studies), "utf-8")
    SPLITS_PAGE.write_text(splits_of(studies), "utf-8")


if __name__ == "__main__":
    main()
