"""Findings and answers as plain dicts in the documented schema; never a NaN in them."""

from typing import Any

from dwindle.findings.conclusion import conclude
from dwindle.findings.model import Answer, Findings
from dwindle.findings.verdict import verdict_rows
from dwindle.plain import to_plain


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
    plain: dict[str, Any] = to_plain(findings)
    return plain


def answer_as_dict(answer: Answer) -> dict[str, Any]:  # JSON-like
    """Return an answer in the schema of ``answer --json``.

    Args:
        answer: Claims and studies.

    Returns:
        Like :func:`findings_as_dict`, with the studies under ``studies``; the table of
        rules under ``verdict`` and the texts of the conclusion follow from them.

    """
    plain: dict[str, Any] = to_plain(answer)
    verdict = to_plain(verdict_rows(answer.studies))
    conclusion: dict[str, Any] = to_plain(conclude(answer))
    return {**plain, "verdict": verdict, **conclusion}
