"""The tables of a study as a file has them: the one place where a study is checked.

A study file, what Python builds and what a store gives back are checked as the same
tables: first each value by itself (types, ranges and names, by pydantic), then what
must hold between values that are right.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WrapValidator,
    create_model,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from dwindle.decay.penalties import NORMALIZATIONS
from dwindle.decay.schedules import Schedule
from dwindle.errors import DwindleError, RangeError, UnknownNameError
from dwindle.store.records import PER_SEED

Key = tuple[str, ...]  # of the file: ("optimizer", "lr")
Fault = tuple[Key, DwindleError]
Right = dict[Key, Any]  # values that are right by themselves
# What must hold between values; one that is wrong itself is a KeyError.
Relation = Callable[[Right], Iterable[Fault]]
Item = TypeVar("Item")

# Above this plans do not fit into memory, and training takes weeks.
MOST_TRAININGS = 1_000_000
# Decays that are nearer to each other than this are one decay to any curve.
SMALLEST_STEP = 1.01
# Far beyond any training, and near enough that no product of powers overflows.
_SMALLEST, _LARGEST, _MOST_EPOCHS = 1e-30, 1e30, 1_000_000
_MOST_SPLITS = 10_000  # as many as there may be seeds
_NO_VALUES: dict[str, list[float]] = {"values": []}  # of an axis that is left out
# Errors of pydantic's about a type -> what the value must be.
_KINDS = {
    "string_type": "a text in quotes",
    "list_type": "a list of numbers",
    "model_type": "a table, or for an axis a list of values",
}


@dataclass(frozen=True)
class _Must(WrapValidator):
    """A check that a JSON Schema describes in the words of its error."""

    must: str = ""

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {**handler(schema), "description": self.must}


@dataclass(frozen=True)
class _OneOf(AfterValidator):
    """A check of names, which a JSON Schema lists."""

    known: tuple[str, ...] = ()

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {**handler(schema), "enum": list(self.known)}


def _number(must: str, holds: Callable[[Any], bool]) -> WrapValidator:
    """Return the check of a value; all that can be wrong with it is one error."""

    def check(value: Any, handler: Callable[[Any], Any]) -> Any:  # of any field
        # 30.0 is as whole as 30, where a whole number must be.
        is_whole = isinstance(value, float) and value.is_integer()
        for given in (int(value), value) if is_whole else (value,):
            with suppress(ValidationError):
                number = handler(given)
                if holds(number):
                    return number
        raise PydanticCustomError("must", "{must}", {"must": must})

    return _Must(check, must=must)


def _whole(least: int, most: int) -> WrapValidator:
    must = f"a whole number from {least} to {most:,}"
    return _number(must, lambda number: least <= number <= most)


def _one_of(kind: str, known: tuple[str, ...]) -> AfterValidator:
    """Return the check of a name of that kind."""

    def check(name: str) -> str:
        if name not in known:
            facts = {"kind": kind, "known": known}
            raise PydanticCustomError("unknown", "{kind}", facts)
        return name

    return _OneOf(check, known=known)


def _is_below_one(number: float) -> bool:
    return 0 <= number < 1


Positive = Annotated[
    float,
    _number(
        f"from {_SMALLEST:g} to {_LARGEST:g}", lambda x: _SMALLEST <= x <= _LARGEST
    ),
]
Share = Annotated[float, _number("from 0 to 1", lambda share: 0 <= share <= 1)]
BelowOne = Annotated[float, _number("at least 0 and below 1", _is_below_one)]
Betas = Annotated[
    tuple[float, float],
    _number(
        "a list of two numbers, each at least 0 and below 1, such as [0.9, 0.999]",
        lambda betas: all(map(_is_below_one, betas)),
    ),
    # TOML has lists only.
    BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
]
Width = Annotated[int, _whole(1, 1_000_000)]
Depth = Annotated[int, _whole(0, 1000)]
Size = Annotated[int, _whole(1, 10**9)]
SplitName = Annotated[
    int | Literal["per seed"],
    _number(
        f'"{PER_SEED}", or the number of one split for all seeds, such as 0',
        lambda split: split == PER_SEED or split in range(_MOST_SPLITS),
    ),
]
Epochs = Annotated[
    float,
    _number(
        f"above 0, and at most {_MOST_EPOCHS:,}",
        lambda number: 0 < number <= _MOST_EPOCHS,
    ),
]

YesOrNo = Annotated[bool, _number("true or false", lambda _: True)]
OptimizerName = Annotated[str, _one_of("optimizer", ("sgd", "adamw", "adam"))]
ScheduleName = Annotated[
    str, _one_of("schedule", ("constant", "linear", "cosine", "wsd"))
]
Normalization = Annotated[str, _one_of("normalization", tuple(NORMALIZATIONS))]


class _Table(BaseModel):
    # strict: a number in quotes is a text, and true is no 1.
    model_config = ConfigDict(extra="forbid", strict=True)


class StudyTable(_Table):
    """``[study]``: what to train on, and how often."""

    problem: str = Field(examples=["digits-mlp"])
    seeds: Annotated[int, _whole(1, 10_000)] = 5
    split: SplitName = PER_SEED
    grid: YesOrNo = False
    name: str | None = None


class OptimizerTable(_Table):
    """``[optimizer]``: everything but the decay."""

    name: OptimizerName = Field(examples=["sgd"])
    lr: Positive = Field(examples=[0.05])
    momentum: BelowOne = 0.0
    dampening: Share = 0.0
    nesterov: YesOrNo = False
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8
    schedule: ScheduleName = "constant"
    warmup: BelowOne = 0.0
    final_lr: Share = 0.0


class BaseTable(_Table):
    """``[base]``: the scale that all axes leave from."""

    width: Width = Field(examples=[64])
    depth: Depth = Field(examples=[2])
    batch_size: Size = Field(examples=[32])
    dataset_size: Size = Field(examples=[600])
    epochs: Epochs = Field(examples=[30])


class WeightDecayTable(_Table):
    """``[weight_decay]``: the grid of decays."""

    low: Positive = Field(examples=[1e-5])
    high: Positive = Field(examples=[1e-1])
    points: Annotated[int, _whole(3, 1000)] = 13
    normalization: Normalization = "none"


def _each_once(values: list[Any]) -> list[Any]:
    if not values or len(set(values)) < len(values):
        must = "at least one number, none of them twice"
        raise PydanticCustomError("must", "{must}", {"must": must})
    return values


class AxisTable(_Table, Generic[Item]):
    """An axis: a list of values, or a table with them."""

    values: Annotated[list[Item], AfterValidator(_each_once)] = Field(
        examples=[[8, 16, 32]]
    )


class HeldAxisTable(AxisTable[Item], Generic[Item]):
    """An axis along which epochs or steps are held."""

    hold: Annotated[str, _one_of("hold", ("epochs", "steps"))] = "epochs"


class BatchAxisTable(HeldAxisTable[Item], Generic[Item]):
    """An axis that the lr may follow, too."""

    lr: Annotated[str, _one_of("lr policy", ("fixed", "sqrt", "linear"))] = "fixed"


# The table of each axis; a list of values is short for a table of them.
AXES: dict[str, type[_Table]] = {
    "width": AxisTable[Width],
    "depth": AxisTable[Depth],
    "batch_size": BatchAxisTable[Size],
    "dataset_size": HeldAxisTable[Size],
    "epochs": AxisTable[Epochs],
    "lr": AxisTable[Positive],
}


@dataclass(frozen=True)
class _Short(BeforeValidator):
    """Reads a list as a table with values; a JSON Schema has both."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {"anyOf": [{"type": "array"}, handler(schema)]}


_SHORT = _Short(lambda at: {"values": at} if isinstance(at, list) else at)
TABLES: dict[str, type[_Table]] = {
    "study": StudyTable,
    "optimizer": OptimizerTable,
    "base": BaseTable,
    "weight_decay": WeightDecayTable,
    "axes": create_model(
        "AxesTable",
        __base__=_Table,
        __doc__="``[axes]``: what varies.",
        **{name: (Annotated[axis, _SHORT] | None, None) for name, axis in AXES.items()},  # type: ignore[call-overload] # mypy requires them typed out
    ),
}
WHOLE: type[_Table] = create_model(
    "StudyTables",
    __base__=_Table,
    __doc__="A study file, as ``dwindle study`` reads it.",
    **{name: (table, ... if name != "axes" else {}) for name, table in TABLES.items()},  # type: ignore[call-overload] # as above
)
# What may stand where: the whole file, its tables, and those of an axis.
_AT: dict[Key, type[_Table]] = {
    (): WHOLE,
    **{(name,): table for name, table in TABLES.items()},
    **{("axes", name): table for name, table in AXES.items()},
}


def plain_tables(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return tables without a fault with all defaults, and axes without short forms."""
    return WHOLE.model_validate(tables).model_dump(exclude_none=True)


def faults(
    tables: Mapping[str, Any], relations: Sequence[Relation] = ()
) -> Iterator[Fault]:
    """Yield everything that is wrong with a study, each with its key in the file.

    ``tables`` are as a file has them, with anything in them; ``relations`` must hold
    beside what must hold of every study.
    """
    found = []
    try:
        WHOLE.model_validate(tables)
    except ValidationError as error:
        found = [_fault(detail) for detail in error.errors(include_url=False)]
    yield from found
    right = right_values(tables, {key for key, _ in found})
    yield from judged((*_RELATIONS, *relations), right)


def right_values(tables: Mapping[str, Any], wrong: Collection[Key] = ()) -> Right:
    """Return the values that are right by themselves, or left out and have a default.

    An axis is the dict of its table; ``("axes",)`` are all of them, if all are right.
    """
    # Read again one by one: pydantic gives back nothing of a table with an error.
    right: Right = {}
    for table, model in TABLES.items():
        given = tables.get(table, {})
        for name, field in model.model_fields.items():
            key = (table, name)
            if (table,) in wrong or any(each[:2] == key for each in wrong):
                continue
            value = given[name] if name in given else field.get_default()
            if table == "axes" and value is not None:
                value = AXES[name].model_validate(_SHORT.func(value)).model_dump()  # type: ignore[call-arg] # of one argument
            if name in given or not field.is_required():
                right[key] = value
    if all(key[0] in TABLES and key[0] != "axes" for key in wrong):
        right["axes",] = {name: right["axes", name] for name in AXES}
    return right


def judged(relations: Sequence[Relation], right: Right) -> Iterator[Fault]:
    """Yield the faults of relations, but for those that compare a wrong value."""
    for relation in relations:
        with suppress(KeyError):
            yield from relation(right)


def toml_text(value: object) -> str:
    """Return a value as a study file has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _fault(detail: ErrorDetails) -> Fault:
    """Return an error of pydantic's as one of ours, with its key."""
    path = tuple(part for part in detail["loc"] if isinstance(part, str))
    # A value in the list of an axis, and the word itself, are the axis to a reader.
    key = path[:-1] if path[-1] == "values" else path
    name, kind, context = key[-1], detail["type"], detail.get("ctx", {})
    if kind == "unknown":
        known = UnknownNameError.among(
            context["kind"], detail["input"], context["known"]
        )
        return key, known
    if kind == "extra_forbidden":
        table = ".".join(path[:-1])
        where = f"key in [{table}]" if table else "table"
        return key, UnknownNameError.among(where, name, _AT[path[:-1]].model_fields)
    if kind == "missing":
        return path, _missing(path)
    must = context.get("must") or _KINDS.get(kind, "of another type")
    value = detail["input"]
    got = list(value) if isinstance(value, tuple) else value
    of_list = detail["loc"][-1] == "values"
    shown = repr(got) if isinstance(got, str) else got
    return key, RangeError(f"values of {name}" if of_list else name, shown, must)


def _missing(path: Key) -> RangeError:
    table, name = _AT[path[:-1]], path[-1]
    if path[:-1]:
        (example,) = table.model_fields[name].examples or [""]
        where, write = f"{name} in [{'.'.join(path[:-1])}]", toml_text(example)
        return RangeError(where, "none", "given", f"Write {name} = {write}.")
    fields = TABLES[name].model_fields.items()
    rows = [f"{key} = {toml_text(at.examples[0])}" for key, at in fields if at.examples]
    write = f"Write [{name}] with {', '.join(rows)}."
    return RangeError(f"the table [{name}]", "none", "given", write)


def _grid_faults(right: Right) -> Iterator[Fault]:
    """Yield ends in the wrong order, and decays that are nearly alike."""
    low, high = right["weight_decay", "low"], right["weight_decay", "high"]
    if not low < high:
        must, remedy = f"below high = {high:g}", "Swap the two, or move one."
        yield ("weight_decay", "low"), RangeError("low", f"{low:g}", must, remedy)
        return
    points = right["weight_decay", "points"]
    if (high / low) ** (1 / (points - 1)) < SMALLEST_STEP:
        got = f"{points} from {low:g} to {high:g}"
        must = f"so few that neighbors are {100 * (SMALLEST_STEP - 1):.0f} % apart"
        yield ("weight_decay", "points"), RangeError("points", got, must)


def _axes_faults(right: Right) -> Iterator[Fault]:
    """Yield a study that varies nothing, or is too large to train."""
    axes = [axis for axis in right["axes",].values() if axis]
    if not axes:
        remedy = "Write [axes] with width = [16, 32, 64]."
        yield ("axes",), RangeError("axes", "none", "one or more to vary", remedy)
    seeds, points = right["study", "seeds"], right["weight_decay", "points"]
    sizes = [len(axis["values"]) for axis in axes]
    cells = math.prod(sizes) if right["study", "grid"] else 1 + sum(sizes)
    trainings = seeds * (points + 1) * cells
    if trainings > MOST_TRAININGS:
        must = f"so few that the study has at most {MOST_TRAININGS:,} trainings"
        got = f"{seeds:,}, which makes {trainings:,}"
        yield ("study", "seeds"), RangeError("seeds", got, must)


def _batch_faults(right: Right) -> Iterator[Fault]:
    """Yield where a batch is larger than the data that it is drawn from."""
    batch, data = right["base", "batch_size"], right["base", "dataset_size"]
    # An axis that is wrong itself hides no fault of the base, or of the other one.
    batches, sets = (
        right.get(("axes", axis)) for axis in ("batch_size", "dataset_size")
    )
    pairs = [(("base", "batch_size"), batch, data)]
    if batch <= data:  # else it is the base that has to change
        at = ("axes", "batch_size")
        pairs += [(at, value, data) for value in (batches or _NO_VALUES)["values"]]
        at = ("axes", "dataset_size")
        pairs += [(at, batch, value) for value in (sets or _NO_VALUES)["values"]]
    for key, size, most in pairs:
        if size > most:
            must = f"at most dataset_size = {most}"
            yield key, RangeError("batch_size", size, must, "Lower it.")


def _warmup_faults(right: Right) -> Iterator[Fault]:
    warmup, most = right["optimizer", "warmup"], 1 - Schedule.decay_share
    if right["optimizer", "schedule"] == "wsd" and warmup > most:
        must = f"at most {most:g} with the schedule wsd, which falls at the end"
        yield ("optimizer", "warmup"), RangeError("warmup", warmup, must)


def _nesterov_faults(right: Right) -> Iterator[Fault]:
    nesterov, momentum, dampening = (
        right["optimizer", name] for name in ("nesterov", "momentum", "dampening")
    )
    if nesterov and (momentum == 0 or dampening != 0):
        got = f"true with momentum = {momentum:g}, dampening = {dampening:g}"
        must = "false, or momentum above 0 and dampening 0"
        yield ("optimizer", "nesterov"), RangeError("nesterov", got, must)


_RELATIONS: tuple[Relation, ...] = (
    _grid_faults,
    _axes_faults,
    _batch_faults,
    _warmup_faults,
    _nesterov_faults,
)
