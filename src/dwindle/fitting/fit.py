"""dwindle.fit: the best weight decay from results that already exist."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dwindle.fitting.answer import Fit


def fit(  # noqa: PLR0913 - choices that are independent, all with defaults
    results: object,
    *,
    knob: str | None = None,
    metric: str | None = None,
    seed: str | None = None,
    cells: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    where: Mapping[str, object] | None = None,
    maximize: bool | None = None,
    typed_into: str | None = None,
    study: str | None = None,
    script: Sequence[str] = (),
    compare: Sequence[float] = (),
) -> "Fit":
    """Find the best weight decay in results that already exist.

    Args:
        results: A path (CSV, JSON, JSONL, Parquet, SQLite of Optuna), a list of dicts,
            a dict of columns, or a DataFrame; one row per training.
        knob: Column of the weight decay; guessed when left out, as are the others.
        metric: Column of the loss or score.
        seed: Column of the seed.
        cells: Columns whose values make separate cells.
        ignore: Columns that do not matter: rows are pooled over their values.
        where: Values that columns must have.
        maximize: Whether more of the metric is better.
        typed_into: Where the weight decay is typed, as ``dwindle knobs`` has it: it
            decides which rules apply.
        study: Which study of a file of Optuna.
        script: The command that trains, for the line that would settle what is open.
        compare: Two weight decays whose difference may be noise; the best and the
            second best when left out.

    Returns:
        Cells, exponents and the next step; it prints and shows itself.

    Raises:
        DataFilesError: If it is no table of results.
        UnknownNameError: If a named column is not there.
        AmbiguousNameError: If several columns may be meant.
        RangeError: If a decay to compare was not trained.
        UsageError: If the script takes no ``{weight_decay}``.
        RefusedError: If no two trainings differ in the weight decay alone.

    Example:
        >>> rows = [
        ...     {
        ...         "weight_decay": 10**-k,
        ...         "seed": s,
        ...         "val_loss": 2 + 0.1 * (k - 2) ** 2 + s,
        ...     }
        ...     for k in range(5)
        ...     for s in range(3)
        ... ]
        >>> found = fit(rows)
        >>> round(found.value, 3), found.cells[0].verdict
        (0.01, 'optimum')

    """
    # Imported here: numpy is, and naming this function must cost nothing.
    from dwindle.fitting.build import fit_table
    from dwindle.fitting.columns import ColumnChoice
    from dwindle.fitting.find_line import refuse_without_decay
    from dwindle.fitting.results import read_results

    if script:
        # Before anything is read: dwindle find would refuse the line.
        refuse_without_decay(script)
    choice = ColumnChoice(
        knob=knob,
        metric=metric,
        seed=seed,
        cells=cells,
        ignore=ignore,
        where=where or {},
        maximize=maximize,
        typed_into=typed_into,
        script=script,
        compare=compare,
    )
    return fit_table(read_results(results, study=study), choice)
