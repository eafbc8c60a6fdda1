"""A loss that stands in a file: JSON, lines of it, or the state of a trainer."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dwindle.finding.metric import (
    TRAINER_STATE,
    Metric,
    Place,
    Readings,
    judged,
    number_at,
)
from dwindle.finding.training import Result


def read_result_file(metric: Metric, path: Path) -> Result:
    """Return the result in a file: JSON, JSON lines, or a trainer's state.

    A list is gone through in order, and so are lines; dots in the key go into objects,
    unless the whole key is there. A value of null is no number: the training diverged.
    """
    readings, key = Readings(metric), metric.key
    try:
        text = path.read_text("utf-8")
        documents = [text] if path.suffix == ".json" else text.splitlines()
        values = [json.loads(each) for each in documents if each.strip()]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return Result(status="error", error=f"{path} cannot be read: {reason}")
    if path.name == TRAINER_STATE:
        values = [
            each.get("log_history", []) for each in values if isinstance(each, dict)
        ]
    for value in _at_key(values, key):
        readings.add(_place_of_json(value))
    names = dict.fromkeys(_keys_with_numbers(values))
    return judged(readings, names)


def trainer_state_in(folder: Path) -> Path | None:
    """Return the state that a Hugging Face Trainer left: the end's, or the latest."""
    last = folder / TRAINER_STATE
    if last.is_file():
        return last
    numbered = [
        (int(path.parent.name.rpartition("-")[2]), path)
        for path in folder.glob(f"checkpoint-*/{TRAINER_STATE}")
        if path.parent.name.rpartition("-")[2].isdigit()
    ]
    return max(numbered)[1] if numbered else None


def _at_key(value: Any, key: str) -> Iterator[Any]:  # Any: JSON
    if isinstance(value, list):
        for each in value:
            yield from _at_key(each, key)
    elif isinstance(value, dict):
        if key in value:
            yield value[key]
            return
        first, dot, rest = key.partition(".")
        if dot and first in value:
            yield from _at_key(value[first], rest)


def _keys_with_numbers(value: Any, above: str = "") -> Iterator[str]:  # Any: JSON
    if isinstance(value, list):
        for each in value:
            yield from _keys_with_numbers(each, above)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _keys_with_numbers(each, f"{above}{key}.")
    elif isinstance(value, float | int) and not isinstance(value, bool):
        yield above.removesuffix(".")


def _place_of_json(value: Any) -> Place:  # Any: JSON
    if value is None:
        return Place(math.nan, "null")
    if isinstance(value, str):
        return number_at(value.strip(), 0) or Place(None, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Place(None, json.dumps(value)[:80])
    return Place(float(value), str(value))
