"""Build: an optimizer with its options, and what a controller must make of it."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dwindle.testing import Certificate, certify

Factory = Callable[[list[dict[str, Any]]], Any]
OUTCOMES = ("native", "multiply", "refused")


@dataclass(frozen=True, kw_only=True)
class Build:
    """What is certified: ``outcome`` is how it is held, or that it is refused.

    ``why`` is a part of the refusal, as the page shows them.
    """

    library: str
    name: str
    options: str
    factory: Factory
    outcome: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.options}".strip()

    def check(self) -> Certificate:
        """Certify it, and compare the outcome with the one that is written down."""
        certificate = certify(self.factory)
        found = "refused" if certificate.refused else certificate.mechanism
        assert not certificate.failures, str(certificate)
        assert found == self.outcome, certificate.refused
        assert self.why in (certificate.refused or ""), certificate.refused
        assert certificate.certified == (self.outcome != "refused")
        return certificate


def takes(kind: type, option: str) -> bool:
    """Return whether a class takes an option."""
    return option in inspect.signature(kind).parameters


def options_text(options: Mapping[str, Any]) -> str:
    """Return options as they are typed."""
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def lines(builds: Iterable[Build]) -> Iterator[str]:
    """Return the rows of the page: builds of one class and one outcome share one."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for each in builds:
        key = (each.name, each.outcome, each.why)
        rows.setdefault(key, []).append(each.options or "as it comes")
    for (name, outcome, why), options in rows.items():
        result = f"{outcome}: {why}" if why else outcome
        yield f"| `{name}` | {result} | {' · '.join(options)} |"


def section(library: str, builds: Iterable[Build]) -> str:
    """Return the part of the page that is about one library."""
    table = "\n".join(lines(builds))
    return f"## {library}\n\n| optimizer | held by | as |\n|---|---|---|\n{table}\n"
