"""JSON Schemas of what the commands print and of the files that they read.

Each is a pydantic model, made of the record that is printed or of the options that may
stand in the file: tests/docs validates real ones with it, and the manual publishes its
schema. Nothing else is allowed; in a document nothing may be missing.
"""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from dwindle.audit.codes import Code
from dwindle.audit.findings import Finding, GroupLine
from dwindle.audit.outcome import Audit
from dwindle.cli import find, tune
from dwindle.cli.options import Option, read_text
from dwindle.cli.training_file import Grammar
from dwindle.decay.convert import Conversion
from dwindle.decay.convert_all import NoConversion
from dwindle.decay.evidence.recommend import Recommendation
from dwindle.decay.evidence.records import Evidence, Expected, KindOfRun, Record
from dwindle.decay.evidence.suggest import Suggestion
from dwindle.decay.explain import Explanation
from dwindle.decay.knob import Knob
from dwindle.decay.remarks import Remark
from dwindle.decay.rescaling import Rescaling
from dwindle.decay.rules import Rule
from dwindle.decay.verified import Passed
from dwindle.finding.curve import Harm, Tried
from dwindle.finding.found import Found
from dwindle.findings.model import Findings
from dwindle.fitting.answer import Fit
from dwindle.fitting.columns import Columns
from dwindle.plain import INTERNAL
from dwindle.store.tables import WHOLE
from dwindle.tuning.tuned import Tuned

# Of JSON Schema: the one that pydantic writes.
DRAFT = "https://json-schema.org/draft/2020-12/schema"
_STRICT = ConfigDict(extra="forbid")


def json_type(hint: Any) -> Any:  # Any: of typing, and what pydantic takes
    """Return the type that a value has in JSON: a list for a tuple, null for inf."""
    if hint is float:
        return float | None
    if isinstance(hint, type) and is_dataclass(hint):
        return _of_record(hint)
    origin = get_origin(hint)
    inner = [json_type(each) for each in get_args(hint) if each is not ...]
    if origin in {Union, types.UnionType}:
        return Union[*inner]
    if origin in {tuple, list, set, frozenset}:
        return list[Union[*inner]]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return dict[str, inner[1]]
    return hint


@cache
def _of_record(record: type) -> type[BaseModel]:
    hints = get_type_hints(record)
    names = [field.name for field in fields(record) if field.metadata != INTERNAL]
    return document(record, {name: json_type(hints[name]) for name in names})


def document(record: type, members: Mapping[str, Any]) -> type[BaseModel]:
    """Return a model with these members, described by the docstring of a record."""
    # An alias, for a member may be called "from", or like a method of pydantic.
    members = {
        f"member_{name}": (hint, Field(alias=name)) for name, hint in members.items()
    }
    return create_model(
        record.__name__, __config__=_STRICT, __doc__=record.__doc__, **members
    )


def some_of(record: type, *names: str, **others: Any) -> type[BaseModel]:
    """Return a model of some fields and properties of a record, and of others."""
    hints = get_type_hints(record)
    for name in set(names) - set(hints):
        hints[name] = get_type_hints(getattr(record, name).fget)["return"]
    members = {name: json_type(hints[name]) for name in names}
    return document(record, {**members, **others})


def all_but(record: type, *names: str, **others: Any) -> type[BaseModel]:
    """Return a model of all fields of a record but some, and of others."""
    shown = [each.name for each in fields(record) if each.metadata != INTERNAL]
    left = [name for name in shown if name not in names]
    return some_of(record, *(name for name in left if name not in others), **others)


def _recommendation(other: Any) -> type[BaseModel]:  # Any: what pydantic takes
    """Return a model of a recommendation whose others are of that type."""
    members = {"class": KindOfRun, "others": list[other]}
    return all_but(Recommendation, "kind_of_run", **members)


def type_in_file(option: Option, table: str) -> Any:  # Any: of typing
    """Return the type of a key of a study file: what its option reads, as TOML."""
    if option.is_flag:
        return bool
    # Facts of a run are read from text later.
    is_text = option.read is read_text and table != "run"
    return str if is_text else float | str | list[float | str]


def file_of(grammar: Grammar) -> type[BaseModel]:
    """Return a model of a study file; any key may be typed beside the file instead."""
    may_lack = Field(default_factory=dict)
    free = (dict[str, float | list[float]], may_lack)
    tables: dict[str, Any] = dict.fromkeys(grammar.free, free)
    for table in (grammar.table, "run"):
        members: Any = {
            f"member_{key}": (
                list[str] if key == "command" else type_in_file(option, table),
                Field(default_factory=dict, alias=key, description=option.help),
            )
            for key, option in grammar.options_of(table).items()
        }
        model = create_model(table.capitalize(), __config__=_STRICT, **members)
        tables[table] = (model, may_lack)
    doc = f"A file of ``dwindle {grammar.table}``."
    name = f"{grammar.table}-file"
    return create_model(name, __config__=_STRICT, __doc__=doc, **tables)


_TEXTS_OF_CODE = ("code", "severity", "title", "why", "found", "write", "source")
_explanation = all_but(Explanation, warnings=list[some_of(Remark, "code", "text")])
_conversion = all_but(Conversion, "knob", "coordinate", **{"from": str})
_value_from = {"from": str, "value_from": float | None}
_found = some_of(
    Found,
    *("knob", "value", "low", "high", "matters", "gain", "gain_low", "gain_high"),
    *("trainings", "seeds", "paired"),
    *("stopped_because", "why_null", "conditions", "half_life", "e_folds"),
    "former",
    curve=list[some_of(Tried, "weight_decay", "seed", "loss", "status")],
    harms=list[some_of(Harm, "value", "worse_by", "is_share")],
)
_tuned = some_of(
    Tuned,
    *("target", "value", "low", "high", "exponents", "extrapolates", "rules"),
    *("why_null", "former"),
)
_error = create_model(
    "ErrorObject",
    __config__=_STRICT,
    kind=(str, ...),
    message=(str, ...),
    facts=(dict[str, Any], ...),
)
_columns = ("knob", "metric", "seed", "maximize", "scale", "settings", "unused")
# Name of the schema: what the commands of that name print.
DOCUMENTS: Mapping[str, type[BaseModel]] = {
    "explain": _explanation,
    "convert": _conversion,
    "convert-all": document(
        Conversion,
        {
            **_value_from,
            "to": str,
            "conversions": list[_conversion],
            "refused": list[_of_record(NoConversion)],
        },
    ),
    "rescale": some_of(
        Rescaling,
        "knob",
        "rules",
        before=_explanation,
        unchanged=_explanation,
        recommendation=_recommendation(_recommendation(dict[str, Any])),
    ),
    "suggest": some_of(
        Suggestion,
        *("knob", "value", "low", "high", "carried", "reasons", "notes"),
        **{"class": KindOfRun},
    ),
    "find": _found,
    "tune": _tuned,
    "fit": some_of(
        Fit,
        *("source", "typed_into", "trainings", "left_out", "cells", "axes"),
        *("notes", "command"),
        columns=some_of(Columns, *_columns),
    ),
    "audit": some_of(
        Audit,
        *("target", "optimizer", "facts", "unchecked", "in_both", "counts"),
        "among",
        "exit_code",
        groups=list[all_but(GroupLine, "run")],
        findings=list[
            some_of(
                Finding,
                *("code", "severity", "title", "where", "values", "evidence"),
                *("remedy", "line"),
            )
        ],
    ),
    "audit-codes": document(Code, {"codes": list[some_of(Code, *_TEXTS_OF_CODE)]}),
    "report": _of_record(Findings),
    "evidence": document(
        Evidence,
        {
            "records": list[_of_record(Record)],
            "sources": dict[str, str],
            "expected": list[_of_record(Expected)],
            "nobody_measured": list[_of_record(Expected)],
            "leave_one_source_out": dict[str, Any],
        },
    ),
    "rules": document(Rule, {"rules": list[_of_record(Rule)]}),
    "knobs": document(
        Knob,
        {
            "knobs": list[
                all_but(Knob, verification=str, checks=list[_of_record(Passed)])
            ]
        },
    ),
    "error": create_model("Error", __config__=_STRICT, error=(_error, ...)),
}
# Name of the schema: a file that a person writes.
FILES: Mapping[str, type[BaseModel]] = {
    "study-file": WHOLE,
    "find-file": file_of(find.grammar_of("find", find.OPTIONS)),
    "tune-file": file_of(tune.GRAMMAR),
}


def published() -> dict[str, dict[str, Any]]:  # JSON Schemas
    """Return the schema of each file that is read and each document printed."""
    return {
        name: {"$schema": DRAFT, **model.model_json_schema()}
        for name, model in (FILES | DOCUMENTS).items()
    }
