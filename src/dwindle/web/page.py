"""Page: the calculator as HTML, its fields and its examples made of this package."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlencode

from dwindle.cli.facts import FACT_OPTIONS
from dwindle.cli.options import Option
from dwindle.decay.evidence.peers import REGIMES
from dwindle.decay.evidence.recipes import recipes
from dwindle.decay.fidelity import Keep
from dwindle.decay.knobs import KNOBS
from dwindle.decay.number_formats import DIGITS
from dwindle.decay.shapes import SHAPES
from dwindle.plain import table_beside
from dwindle.web.calculate import MOST_OF_A_FIELD, TABS, Tab, calculate
from dwindle.wording import quantity

SITE = Path(__file__).with_name("site")
# No host but the page's own, no eval and no inline code or style; a page cannot compile
# WebAssembly, which Python is here, without the one word for it.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        *(f"{what}-src 'self'" for what in ("style", "connect", "worker", "img")),
        "base-uri 'none'",
        "form-action 'none'",
    )
)
# What most people know of their run; the other facts are folded away.
_FIRST = {"knob", "value", "to", "domain", "regime", "normalized"}
_FIRST |= {"lr", "momentum", "batch_size", "dataset_size", "epochs", "shape"}
_LABELS: Mapping[str, str] = {
    "knob": "weight_decay argument of",
    "value": "its value",
    "to": "to the argument of",
    "shape": "lr schedule",
    "final": "final lr",
    "betas": "betas",
    "all_notes": "every note",
    "all_rules": "every rule",
}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "knobs": tuple(KNOBS),
    "places": (*KNOBS, "all"),
    "shapes": tuple(name for name in SHAPES if name != "listed"),
    "formats": tuple(DIGITS),
    "kept": get_args(Keep),
    "regimes": REGIMES,
    "domains": tuple(sorted({each.domain for each in recipes()})),
    "answers": ("yes", "no"),
}
_LISTS = {"knob": "knobs", "to": "places", "shape": "shapes", "dtype": "formats"}
_LISTS |= {"keep": "kept", "regime": "regimes", "domain": "domains"}
_LISTS |= {"normalized": "answers"}


@dataclass(frozen=True)
class Field:
    """One fact of the page, on every tab whose command has its option."""

    option: Option
    tabs: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name that it has in a link."""
        return self.option.argument

    @property
    def label(self) -> str:
        """The name that people read."""
        return _LABELS.get(self.name, quantity(self.name))

    @property
    def has_sides(self) -> bool:
        """Whether it may differ before and after a change."""
        return self.option.is_fact

    @property
    def is_first(self) -> bool:
        """Whether it is shown at once."""
        return self.name in _FIRST

    @property
    def choices(self) -> str:
        """Name of the list of what may stand in it; empty where it is free."""
        return _LISTS.get(self.name, "")


@dataclass(frozen=True)
class Example:
    """Facts with the answer to them, computed when the page is built."""

    tab: str
    title: str
    facts: Mapping[str, str]

    @property
    def link(self) -> str:
        """The fragment of the page's address that opens it."""
        return urlencode({"tab": self.tab, **self.facts})

    @property
    def answer(self) -> dict[str, Any]:  # JSON-like
        """What :func:`dwindle.web.calculate.calculate` returns."""
        request = json.dumps({"tab": self.tab, "facts": dict(self.facts)})
        answer: dict[str, Any] = json.loads(calculate(request))
        return answer


EXAMPLES = tuple(
    Example(**cells) for cells in table_beside(__file__, "examples.toml")["example"]
)


def page_fields() -> tuple[Field, ...]:
    """Return the fields of all tabs, each once."""
    on: dict[Option, list[Tab]] = {}
    for tab in TABS:
        for option in tab.fields():
            on.setdefault(option, []).append(tab)
    # What a command cannot do without first, and what only some of them take last.
    fields = [
        Field(option, tuple(each.name for each in tabs)) for option, tabs in on.items()
    ]
    return tuple(
        sorted(
            fields,
            key=lambda each: (
                not each.option.required,
                each.option not in FACT_OPTIONS,
            ),
        )
    )


def render_page(*, app: str, version: str, python: str) -> str:
    """Return the page."""
    import jinja2

    loader = jinja2.FileSystemLoader(SITE)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined
    )
    template = environment.get_template("page.html.j2")
    return template.render(
        app=app,
        choices=_CHOICES,
        examples=EXAMPLES,
        fields=page_fields(),
        most=MOST_OF_A_FIELD,
        policy=POLICY,
        python=python,
        tabs=TABS,
        version=version,
    )
