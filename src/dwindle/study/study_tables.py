"""The tables of a study file as pydantic reads them: types, names and ranges."""

from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from dwindle.errors import UnknownNameError
from dwindle.store.spec import out_of_range
from dwindle.store.vocabulary import CHOICES, KINDS
from dwindle.study.problems import problem

# Type of the errors whose text is one of ours already.
TOLD = "told"


def _check_number(name: str, value: Any) -> Any:  # whatever the field holds
    fault = out_of_range(name, value)
    if fault:
        raise PydanticCustomError(TOLD, "{text}", {"text": str(fault)})
    return value


def _check_name(kind: str, value: str) -> str:
    if value not in CHOICES[kind]:
        fault = UnknownNameError.among(KINDS.get(kind, kind), value, CHOICES[kind])
        raise PydanticCustomError(TOLD, "{text}", {"text": str(fault)})
    return value


def _check_problem(name: str) -> str:
    try:
        problem(name)
    except UnknownNameError as fault:
        raise PydanticCustomError(TOLD, "{text}", {"text": str(fault)}) from fault
    return name


def _as_tuple(value: Any) -> Any:  # TOML has lists only
    return tuple(value) if isinstance(value, list) else value


def _as_table(value: Any) -> Any:  # a list of values is short for a table of them
    return {"values": value} if isinstance(value, list) else value


def _is(name: str) -> AfterValidator:
    """Return the check of a number of that name; the limits are the store's table."""
    return AfterValidator(partial(_check_number, name))


def _one_of(kind: str) -> AfterValidator:
    """Return the check of a name of that kind."""
    return AfterValidator(partial(_check_name, kind))


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class StudyTable(_Table):
    """``[study]``: what to train on, and how often."""

    problem: Annotated[str, AfterValidator(_check_problem)]
    seeds: Annotated[int, _is("seeds")] = 5
    name: str | None = None


class OptimizerTable(_Table):
    """``[optimizer]``: everything but the decay."""

    name: Annotated[str, _one_of("name")]
    lr: Annotated[float, _is("lr")]
    momentum: Annotated[float, _is("momentum")] = 0.0
    dampening: Annotated[float, _is("dampening")] = 0.0
    nesterov: bool = False
    betas: Annotated[tuple[float, float], BeforeValidator(_as_tuple), _is("betas")] = (
        0.9,
        0.999,
    )
    eps: Annotated[float, _is("eps")] = 1e-8
    schedule: Annotated[str, _one_of("schedule")] = "constant"
    warmup: Annotated[float, _is("warmup")] = 0.0
    final_lr: Annotated[float, _is("final_lr")] = 0.0


class BaseTable(_Table):
    """``[base]``: the scale that all axes leave from."""

    width: Annotated[int, _is("width")]
    depth: Annotated[int, _is("depth")]
    batch_size: Annotated[int, _is("batch_size")]
    dataset_size: Annotated[int, _is("dataset_size")]
    epochs: Annotated[float, _is("epochs")]


class WeightDecayTable(_Table):
    """``[weight_decay]``: the grid of decays."""

    low: Annotated[float, _is("low")]
    high: Annotated[float, _is("high")]
    points: Annotated[int, _is("points")] = 13
    normalization: Annotated[str, _one_of("normalization")] = "none"


class AxisTable(_Table):
    """An axis: a list of values, or a table with them."""

    values: list[float]


class DatasetAxisTable(AxisTable):
    """An axis along which epochs or steps are held."""

    hold: Annotated[str, _one_of("hold")] = "epochs"


class BatchAxisTable(DatasetAxisTable):
    """An axis that the lr may follow, too."""

    lr: Annotated[str, _one_of("lr policy")] = "fixed"


_SHORT = BeforeValidator(_as_table)


class AxesTable(_Table):
    """``[axes]``: what varies."""

    width: Annotated[AxisTable, _SHORT] | None = None
    depth: Annotated[AxisTable, _SHORT] | None = None
    batch_size: Annotated[BatchAxisTable, _SHORT] | None = None
    dataset_size: Annotated[DatasetAxisTable, _SHORT] | None = None
    epochs: Annotated[AxisTable, _SHORT] | None = None
    lr: Annotated[AxisTable, _SHORT] | None = None


class StudyFile(_Table):
    """A whole study file."""

    study: StudyTable
    optimizer: OptimizerTable
    base: BaseTable
    weight_decay: WeightDecayTable
    axes: AxesTable = Field(default_factory=AxesTable)
