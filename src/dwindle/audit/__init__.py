"""The audit without torch: of a setting, of a settings file, and of a change."""

from typing import TYPE_CHECKING

from dwindle.lazy import lazy_names

if TYPE_CHECKING:
    from dwindle.audit.change import audit_change as audit_change
    from dwindle.audit.findings import Finding as Finding
    from dwindle.audit.outcome import Audit as Audit
    from dwindle.audit.setting_findings import (
        findings_of_setting as findings_of_setting,
    )
    from dwindle.audit.settings_audit import audit_changed_files as audit_changed_files
    from dwindle.audit.settings_audit import (
        audit_training_arguments as audit_training_arguments,
    )

# Where each name lives: a page of --explain needs none of the mathematics.
_HOMES = {
    "Audit": "dwindle.audit.outcome",
    "Finding": "dwindle.audit.findings",
    "audit_change": "dwindle.audit.change",
    "audit_changed_files": "dwindle.audit.settings_audit",
    "audit_training_arguments": "dwindle.audit.settings_audit",
    "findings_of_setting": "dwindle.audit.setting_findings",
}

__all__, __getattr__, __dir__ = lazy_names(__name__, _HOMES)
