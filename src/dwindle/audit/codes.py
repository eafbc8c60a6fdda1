"""All codes of the audit, and the words of ``--select`` and ``--ignore``."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from dwindle.audit.code import SEVERITIES, Code, Severity
from dwindle.audit.codes_of_changes import CHANGE_CODES
from dwindle.audit.codes_of_groups import GROUP_CODES
from dwindle.audit.codes_of_settings import SETTING_CODES
from dwindle.errors import UnknownNameError

__all__ = ["CODES", "SEVERITIES", "Code", "Severity", "codes_of", "resolve_code"]

_ALL = (*GROUP_CODES, *SETTING_CODES, *CHANGE_CODES)

CODES: Mapping[str, Code] = MappingProxyType(
    {each.code: each for each in sorted(_ALL, key=lambda each: each.code)}
)
_HINT = "dwindle audit --explain all lists the codes."


def resolve_code(name: str) -> Code:
    """Find a code by its name, however one writes its capitals.

    Raises:
        UnknownNameError: If there is no such code; the nearest are offered.

    Example:
        >>> resolve_code("dw001").title
        'a bias decays'

    """
    known = CODES.get(name.strip().upper())
    if known is None:
        raise UnknownNameError.among("code", name.strip().upper(), CODES, _HINT)
    return known


def codes_of(names: Iterable[str]) -> frozenset[str]:
    """Return the codes that names or prefixes of names mean.

    Args:
        names: ``DW001``, or a prefix such as ``DW00`` or ``DW``.

    Raises:
        UnknownNameError: If a name is no prefix of any code.

    Example:
        >>> sorted(codes_of(["DW03"]))
        ['DW030', 'DW031', 'DW032', 'DW033']

    """
    found: set[str] = set()
    for name in names:
        prefix = name.strip().upper()
        matches = {code for code in CODES if prefix and code.startswith(prefix)}
        found |= matches or {resolve_code(name).code}
    return frozenset(found)
