"""Findings and answers as plain dicts in the documented schema; never a NaN in them."""

import math
from dataclasses import asdict
from typing import Any

from dwindle.findings.conclusion import conclude
from dwindle.findings.model import Answer, Findings
from dwindle.findings.verdict import verdict_rows


def findings_as_dict(findings: Findings) -> dict[str, Any]:  # JSON-like
    """Return findings in the schema of ``study --json`` and ``report --json``.

    The keys are the field names of :class:`~dwindle.findings.model.Findings` and what
    it holds. A number that does not exist is None, and a reason stands beside it.

    Args:
        findings: One study.

    Returns:
        Dicts, lists, text, finite numbers and None: fit for ``json.dumps`` with
        ``allow_nan=False``.

    """
    plain: dict[str, Any] = jsonable(asdict(findings))
    return plain


def answer_as_dict(answer: Answer) -> dict[str, Any]:  # JSON-like
    """Return an answer in the schema of ``answer --json``.

    Args:
        answer: Claims and studies.

    Returns:
        Like :func:`findings_as_dict`, with the studies under ``studies``; the table of
        rules under ``verdict`` and the texts of the conclusion follow from them.

    """
    plain: dict[str, Any] = jsonable(
        {
            **asdict(answer),
            "verdict": [asdict(row) for row in verdict_rows(answer.studies)],
            **asdict(conclude(answer)),
        }
    )
    return plain


def jsonable(value: Any) -> Any:  # JSON-like in and out
    """Return nested plain data with lists for tuples and None for non-finite numbers.

    Example:
        >>> jsonable({"low": float("-inf"), "pair": (1, 2.5)})
        {'low': None, 'pair': [1, 2.5]}

    """
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
