"""Claims as data: the texts of ``claims.toml``, filled in with what a check found."""

from dwindle.findings.model import Claim, ClaimVerdict
from dwindle.plain import table_beside

_TEXTS = table_beside(__file__)


def claimed(
    name: str, verdict: ClaimVerdict, *table: tuple[str, ...], **values: float | str
) -> Claim:
    """Return a claim by its name."""
    texts = {part: text.format(**values) for part, text in _TEXTS[name].items()}
    return Claim(id=name, verdict=verdict, table=table, **texts)
