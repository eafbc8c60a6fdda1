"""Which column is what: guessed from names and values, or chosen by the caller.

Trackers put a prefix before a name (``config/``, ``params.``, ``metrics.``), and
people spell it their way; so names are compared by their bare letters.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dwindle.decay.read_numbers import read_number
from dwindle.errors import AmbiguousNameError, UnknownNameError, UsageError
from dwindle.fitting import names
from dwindle.fitting.table import Results, Value, unfit
from dwindle.wording import clean

_SAMPLED = 1000  # filled cells that show whether a column holds numbers
# How W&B, MLflow, Optuna and TensorBoard prefix what was set, and what came out.
_SETTING = re.compile(
    r"^(?:config|params?|hparams?|hyperparameters|args)[./_ ]+", re.IGNORECASE
)
_OUTCOME = re.compile(
    r"^(?:summary|metrics?|results?|user_attrs)[./_ ]+", re.IGNORECASE
)

_CHOOSE = "Name another column: --metric COLUMN, or metric= in Python."

Pick = Sequence[str] | None


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What each column of a table is.

    ``scale`` maps a quantity that rules are about (or the name of any other number) to
    its column, where its values differ; ``fixed`` has the quantities that do not
    differ. ``settings`` are other hyper-parameters that differ between rows. ``unused``
    are columns that neither set nor identify a training, such as its outcomes.
    """

    knob: str
    metric: str
    maximize: bool
    seed: str | None = None
    scale: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    status: str | None = None
    progress: str | None = None
    run: str | None = None
    unused: tuple[str, ...] = ()
    fixed: Mapping[str, float] = field(default_factory=dict)

    @property
    def reversed(self) -> bool:
        """Whether a larger number is less decay, as C of scikit-learn is."""
        return _last(self.knob).lower() == "c"

    @property
    def is_share(self) -> bool:
        """Whether the metric is a share of all by its name, such as an accuracy."""
        return not names.SHARES.isdisjoint(_bare(self.metric).split("_"))


@dataclass(frozen=True, kw_only=True)
class ColumnChoice:
    """What the caller chose; what is None, or empty, is guessed.

    ``cells`` are the columns whose values make separate cells; ``ignore`` are those
    whose values are pooled at the caller's request; ``where`` has the values that
    columns must have. The decay is ``typed_into`` a place of ``dwindle knobs``;
    ``script`` is the command that trains, and ``compare`` are two decays, or none.
    """

    knob: str | None = None
    metric: str | None = None
    seed: str | None = None
    cells: Pick = None
    ignore: Sequence[str] = ()
    where: Mapping[str, object] = field(default_factory=dict)
    maximize: bool | None = None
    typed_into: str | None = None
    script: Sequence[str] = ()
    compare: Sequence[float] = ()


def find_columns(table: Results, choice: ColumnChoice) -> Columns:
    """Find out which column is what.

    An UnknownNameError where a chosen column is not there, an AmbiguousNameError where
    several may be meant, a DataFilesError where none may be.
    """
    written = tuple(table.columns)
    knob = named(choice.knob, written) or _guessed_knob(table)
    metric = named(choice.metric, written) or _guessed_metric(table, knob)
    seed = named(choice.seed, written)
    _refuse_two_roles(
        choice, written, {"--knob": knob, "--metric": metric, "--seed": seed}
    )
    # A column that the caller pools, or makes cells by, is not guessed to be the seed.
    placed = {named(each, written) for each in (*(choice.cells or ()), *choice.ignore)}
    free = [name for name in written if name not in {knob, metric, *placed}]
    seed = seed or _first(free, names.SEEDS)
    found = Columns(
        knob=knob,
        metric=metric,
        maximize=_direction(table, metric, choice.maximize),
        seed=seed,
        status=_first(free, names.STATUS),
        progress=_first(free, names.PROGRESS),
        run=_first(free, names.RUNS),
    )
    taken = {seed, found.status, found.progress, found.run}
    others = [name for name in written if name not in {knob, metric, *taken}]
    return _with_settings(table, found, others, choice)


def named(name: str | None, columns: Collection[str]) -> str | None:
    """Return the column that a caller named, by its whole name or its bare letters."""
    if name is None or name in columns:
        return name
    alike = tuple(each for each in columns if _bare(name) in {_bare(each), _last(each)})
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise AmbiguousNameError("column", clean(name), tuple(map(clean, alike)))
    raise UnknownNameError.among("column", clean(name), map(clean, columns))


def _refuse_two_roles(
    choice: ColumnChoice, written: Collection[str], roles: Mapping[str, str | None]
) -> None:
    """Refuse a column that is to be pooled, or to make cells, and something else."""
    taken = {column: option for option, column in roles.items() if column}
    for option, given in (("--cells", choice.cells or ()), ("--ignore", choice.ignore)):
        for each in given:
            column = named(each, written)
            if column in taken:
                must = f"{option} must be a column that is nothing else."
                got = f"{clean(each, limit=40)}, which is that of {taken[column]}"
                remedy = (
                    f"Leave it out, or name another column: {taken[column]} COLUMN."
                )
                raise UsageError(must, got, remedy)


def _with_settings(
    table: Results, found: Columns, others: Sequence[str], choice: ColumnChoice
) -> Columns:
    """Sort the other columns: scale, settings that differ, and what is not used."""
    written = tuple(table.columns)
    chosen = [named(each, written) for each in choice.cells or ()]
    ignored = {named(each, written) for each in choice.ignore}
    scale: dict[str, str] = {}
    fixed: dict[str, float] = {}
    settings, unused = [], []
    for name in others:
        known = next(
            (q for q, alike in names.SCALES.items() if _is_one_of(name, alike)), ""
        )
        values = {
            each if isinstance(each, str | int | float | None) else repr(each)
            for each in table.columns[name]
        } - {None, ""}
        numbers = [read_value(each) for each in values]
        # A quantity, unless it is a seed: that is a name.
        is_chosen = name in chosen and not _is_one_of(name, names.SEEDS)
        if name in ignored:
            unused.append(name)
        elif len(values) < 2:  # noqa: PLR2004 - one value does not differ
            if known and numbers and numbers[0] is not None:
                fixed.setdefault(known, numbers[0])
        elif None not in numbers and (known or is_chosen):
            scale[known if known and known not in scale else name] = name
        elif name in chosen or _is_setting(name, len(values), table.rows):
            settings.append(name)
        else:
            unused.append(name)
    return replace(
        found,
        scale=scale,
        fixed=fixed,
        settings=tuple(settings),
        unused=tuple(unused),
    )


def _is_setting(name: str, distinct: int, rows: int) -> bool:
    """Whether a column that differs is a hyper-parameter, rather than an outcome."""
    # The prefix of a tracker decides. Without one, what has a name of a metric or of
    # bookkeeping is none, nor is a number that is another one in nearly every row.
    if _SETTING.match(name) or _is_one_of(name, names.SETTINGS):
        return not _is_one_of(name, names.BOOKKEEPING)
    if _OUTCOME.match(name) or _is_one_of(name, names.BOOKKEEPING | names.RUNS):
        return False
    words = set(_bare(name).split("_"))
    measured = (
        names.LOSSES
        | names.ERRORS
        | names.SCORES
        | names.VALUES
        | {"time", "seconds", "norm"}
    )
    return not words & measured and 2 * distinct <= max(rows, 6)


def _guessed_knob(table: Results) -> str:
    for alike in names.KNOBS:
        found = [name for name in table.columns if _is_one_of(name, alike)]
        # A setting that stays as it is cannot be the one that was searched.
        differing = [each for each in found if len(set(table.columns[each])) > 1]
        if len(differing) > 1:
            hint = "Choose one: --knob COLUMN, or knob= in Python."
            shown = tuple(map(clean, differing))
            kind = "column of the weight decay"
            raise AmbiguousNameError(kind, "", shown, hint)
        if found:
            return (differing or found)[0]
    raise _absent(table, "the weight decay", "--knob COLUMN, or knob= in Python")


def _guessed_metric(table: Results, knob: str) -> str:
    called = sorted(
        (rank, name)
        for name in table.columns
        if name != knob and (rank := _rank_of_metric(name))
    )
    ranked = [
        (rank, name)
        for rank, name in called
        if any(read_value(each) is not None for each in _filled(table.columns[name]))
    ]
    if called and not ranked:
        name = called[0][1]
        first = next(_filled(table.columns[name]), None)
        has = "nothing" if first is None else f"{clean(repr(first), limit=30)}"
        got = f"{has} in {clean(name, limit=40)}"
        raise unfit(table.source, "a table with numbers for the loss", got, _CHOOSE)
    if not ranked:
        raise _absent(table, "the loss", "--metric COLUMN, or metric= in Python")
    best = [name for rank, name in ranked if rank == ranked[0][0]]
    if len(best) > 1:
        hint = "Choose one: --metric COLUMN, or metric= in Python."
        shown = tuple(map(clean, best))
        kind = "column of the loss"
        raise AmbiguousNameError(kind, "", shown, hint)
    return best[0]


def _rank_of_metric(name: str) -> tuple[int, int, int, int] | None:
    """Return how likely a name is the metric to go by, the likeliest lowest."""
    # A loss rather than an error rather than a score, as it is the least coarse; on
    # validation data rather than test data; as it was at the end; the plainest name.
    bare = _bare(name)
    words = bare.split("_")
    if not names.NO_METRIC.isdisjoint(words) or _SETTING.match(name):
        return None
    kinds = (names.LOSSES, names.ERRORS, names.SCORES)
    kind = next((at for at, each in enumerate(kinds) if not each.isdisjoint(words)), 3)
    if kind == len(kinds) and bare not in names.VALUES:
        return None
    split = next(
        (
            at
            for at, e in enumerate((names.VALIDATION, names.TEST))
            if not e.isdisjoint(words)
        ),
        2,
    )
    return kind, split, int(not names.SUMMARY.isdisjoint(words)), len(words)


def _direction(table: Results, metric: str, maximize: bool | None) -> bool:  # noqa: FBT001 - a fact that may be unknown
    """Return whether more is better: as chosen, as the file states, or by the name."""
    if maximize is not None:
        return maximize
    if table.maximize is not None and _bare(metric) == "value":
        return table.maximize
    return bool(names.larger_is_better(metric))


def printed_name(metric: str) -> str | None:
    """Return a metric as a training prints it, or None: ``value`` is Optuna's name."""
    plain = _OUTCOME.sub("", metric.strip())
    return None if _bare(plain) in names.VALUES else plain


def _first(names: Sequence[str], alike: frozenset[str]) -> str | None:
    return next((name for name in names if _is_one_of(name, alike)), None)


def _is_one_of(name: str, alike: frozenset[str]) -> bool:
    return _bare(name) in alike or _last(name) in alike


def _bare(name: str) -> str:
    """Return a name without its tracker's prefix, in lower case with underscores."""
    plain = _OUTCOME.sub("", _SETTING.sub("", name.strip()))
    return re.sub(r"[^\wλ]+", "_", plain).strip("_").casefold()


def _last(name: str) -> str:
    """Return the last part of a dotted name: weight_decay of optimizer.weight_decay."""
    return _bare(re.split(r"[./]", name.strip().rstrip("./"))[-1])


def _filled(column: Sequence[Value]) -> Iterator[Value]:
    for each in column[:_SAMPLED]:
        if each is not None and each != "":
            yield each


def read_value(value: Value) -> float | None:
    """Return a cell as a number; None where it is none, NaN where "nan" is written."""
    if isinstance(value, str):
        return read_number(value)
    try:
        return float(value)  # type: ignore[arg-type]  # TypeError is caught
    except (TypeError, ValueError, OverflowError):
        return None


def _absent(table: Results, what: str, how: str) -> Exception:
    shown = ", ".join(clean(name, limit=30) for name in list(table.columns)[:12])
    more = len(table.columns) - 12
    got = f"columns {shown}{f' and {more} more' if more > 0 else ''}"
    return unfit(
        table.source, f"a table with a column of {what}", got, f"Name it: {how}."
    )
