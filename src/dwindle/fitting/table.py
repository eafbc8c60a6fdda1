"""A table of results: named columns as they were written, and what is no table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dwindle.errors import DataFilesError
from dwindle.wording import clean, counted

# A table is held as Python objects, which take several times its bytes. A row for each
# of 20,000 steps of a hundred trainings is within these.
MOST_BYTES = 512 << 20
MOST_ROWS = 2_000_000
MOST_COLUMNS = 10_000
KINDS = "a CSV, JSON, JSONL or Parquet file, or a SQLite file of Optuna"

Value = object  # of a cell: text, number, truth, or None where it is missing


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """Columns of equal length, as they were written.

    ``source`` is the path, or a word for what came from Python; ``maximize`` is known
    only where the file states it. ``remarks`` are notes on how the table was read.
    """

    source: str
    columns: Mapping[str, Sequence[Value]]
    remarks: tuple[str, ...] = ()
    maximize: bool | None = None

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.columns.values()), ()))


@dataclass(kw_only=True)
class Builder:
    """Columns that grow row by row; a name that comes late was missing before."""

    source: str
    columns: dict[str, list[Value]] = field(default_factory=dict)
    rows: int = 0

    def add(self, row: Mapping[str, Value]) -> None:
        """Add a row by the names of its cells."""
        for name, value in row.items():
            column = self.columns.get(name)
            if column is None:
                if len(self.columns) >= MOST_COLUMNS:
                    got = f"more than {MOST_COLUMNS:,} columns"
                    raise unfit(self.source, "a table of results", got)
                column = self.columns[name] = []
            column.extend([None] * (self.rows - len(column)))
            column.append(value)
        self.rows += 1
        if self.rows > MOST_ROWS:
            raise too_many_rows(self.source)

    def done(self) -> Results:
        """Return the table."""
        for column in self.columns.values():
            column.extend([None] * (self.rows - len(column)))
        return Results(source=self.source, columns=self.columns)


def unfit(source: object, must: str, got: str, remedy: str = "") -> DataFilesError:
    """Return the error of a file or of rows that are no table of results."""
    remedy = remedy or f"Give {KINDS}: one row per training."
    return DataFilesError(clean(source), must, clean(got, limit=160), remedy)


def too_many_rows(source: object) -> DataFilesError:
    """Return the error of a table that is too long."""
    got = f"more than {counted(MOST_ROWS, 'row')}"
    return unfit(source, "a table that fits into memory", got)
