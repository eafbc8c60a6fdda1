"""Audit: what a training decays and what its author thinks; the part without torch."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dwindle.audit.change import audit_change
    from dwindle.audit.findings import Audit, Finding
    from dwindle.audit.setting_findings import findings_of_setting
    from dwindle.audit.settings_audit import (
        audit_changed_files,
        audit_training_arguments,
    )

__all__ = [
    "Audit",
    "Finding",
    "audit_change",
    "audit_changed_files",
    "audit_training_arguments",
    "findings_of_setting",
]

# Where each name lives: a page of --explain needs none of the mathematics.
_HOMES = {
    "Audit": "dwindle.audit.findings",
    "Finding": "dwindle.audit.findings",
    "audit_change": "dwindle.audit.change",
    "audit_changed_files": "dwindle.audit.settings_audit",
    "audit_training_arguments": "dwindle.audit.settings_audit",
    "findings_of_setting": "dwindle.audit.setting_findings",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module 'dwindle.audit' has no attribute {name!r}"
        raise AttributeError(message)
    found: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
