"""Results as people read them in Python: one line, a short text, or a small table."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

_MANY = 1000
_STYLE = "text-align:left;vertical-align:top;white-space:pre-line"


@dataclass(frozen=True, kw_only=True)
class Readable:
    """What is shown of a result.

    Args:
        title: The result in one line.
        rows: Facts by name; empty texts are left out.
        notes: Sentences below the facts.

    Example:
        >>> there = Readable(title="torch.optim.SGD = 0.1", rows={"penalty λ": "0.1"})
        >>> print(there.text())
        torch.optim.SGD = 0.1
          penalty λ  0.1

    """

    title: str
    rows: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """Return plain text with the facts below each other."""
        rows = {name: text for name, text in self.rows.items() if text}
        widest = max(map(len, rows), default=0)
        lines = [f"  {name:{widest}}  {text}" for name, text in rows.items()]
        return "\n".join([self.title, *lines, *(f"  · {note}" for note in self.notes)])

    def markup(self) -> str:
        """Return the text for rich, which reads square brackets as styles."""
        return self.text().replace("[", r"\[")

    def html(self) -> str:
        """Return a table for a notebook, with every text escaped."""
        rows = "".join(
            f'<tr><th style="{_STYLE}">{escape(name)}</th>'
            f'<td style="{_STYLE}">{escape(text)}</td></tr>'
            for name, text in self.rows.items()
            if text
        )
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        below = f"<ul>{notes}</ul>" if notes else ""
        title = f"<strong>{escape(self.title)}</strong>"
        return f"<div>{title}<table>{rows}</table>{below}</div>"


class Shown(ABC):
    """A result that Python, a terminal with rich and a notebook show alike."""

    @abstractmethod
    def readable(self) -> Readable:
        """Return what is shown of it."""

    def __str__(self) -> str:
        return self.readable().text()

    def __rich__(self) -> str:
        return self.readable().markup()

    def _repr_html_(self) -> str:
        return self.readable().html()


def number(value: float | None) -> str:
    """Return a number as one would type it, to six digits; a dash where there is none.

    Example:
        >>> number(0.0010000000000000002), number(None)
        ('0.001', '–')

    """
    return "–" if value is None else f"{value:.6g}"


def times(on_clocks: Mapping[str, float | None]) -> str:
    """Return a half-life on every clock that is known.

    Example:
        >>> times({"steps": 6931.1, "epochs": 13.862, "run": None})
        '6,931 steps · 13.9 epochs'

    """
    told = []
    for clock, value in on_clocks.items():
        if value is None or not math.isfinite(value):
            continue
        unit = "% of the run" if clock == "run" else f" {clock}"
        amount = 100 * value if clock == "run" else value
        told.append(
            f"{amount:,.0f}{unit}" if amount >= _MANY else f"{amount:.3g}{unit}"
        )
    return " · ".join(told)
