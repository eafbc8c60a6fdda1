"""Audit: what a training decays and what its author thinks; the part without torch."""

from typing import TYPE_CHECKING

from dwindle.lazy import lazy_names

if TYPE_CHECKING:
    from dwindle.audit.change import audit_change
    from dwindle.audit.findings import Finding
    from dwindle.audit.outcome import Audit
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
    "Audit": "dwindle.audit.outcome",
    "Finding": "dwindle.audit.findings",
    "audit_change": "dwindle.audit.change",
    "audit_changed_files": "dwindle.audit.settings_audit",
    "audit_training_arguments": "dwindle.audit.settings_audit",
    "findings_of_setting": "dwindle.audit.setting_findings",
}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
