"""What ``--metric`` means: where in the output of a training its loss stands.

A *place* is where the name, or the text before the group of a pattern, stands. The last
place decides, and never an earlier one: a place without a number is a training that
diverged, and a number that cannot be read for sure is an error.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, get_args

from dwindle.errors import UnknownNameError, UsageError
from dwindle.errors.nearest import nearest_names
from dwindle.finding.output import ANSI
from dwindle.finding.training import Result
from dwindle.fitting.names import larger_is_better
from dwindle.wording import clean, listed

Take = Literal["last", "min", "max"]
Kind = Literal["name", "pattern", "file"]

# 0.31, .9, 1e-3, Fortran's 0.31D-02, thousands that only can be such (1,234.5).
_DIGITS = r"(?:[1-9]\d{0,2}(?:,\d{3})+\.\d*|\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?"
# MSVC writes -1.#IND; older C libraries nan(ind).
_NOT_FINITE = (
    r"(?:1\.\#(?:IND|QNAN|SNAN|INF)\w*|nan(?:\(\w*\))?|infinity|inf)(?![A-Za-z])"
)
_NUMBER = re.compile(rf"[+\-−]?(?:{_NOT_FINITE}|{_DIGITS})", re.IGNORECASE)
# 0,31 · 1.234,56 · 1.2.3 · 3/4 · 12k · 0x1p3: not what was read so far.
_MORE_OF_A_NUMBER = re.compile(r"[A-Za-z_#]|[.,/]\d")
# Between a name and its number: quotes, a sign, the bar of a table, and what arrays and
# tensors are printed in.
_SIGN = re.compile(r"[\"'`]?\s*(?P<sign>:=|->|=>|==?|[:→|│┃])?\s*[\"'`]?")
# tensor(0.31), np.float32(0.31), array([0.31]).
_WRAPPED = re.compile(
    r"(?:(?:(?:np|jnp|numpy|torch|tf|jax)\.)?"
    r"(?:tensor|array|float\w*|double|Decimal|Scalar)\(\s*)?(?P<list>\[\s*)?",
    re.IGNORECASE,
)
# What may stand in place of a number and means that there is none.
_NONE = re.compile(
    r"(?:none|null|nil|n/?a|undefined|diverged|overflow)(?!\w)"
    r"|[*?#\-–—_.]+(?!\w)|[,;)\]}]|$",
    re.IGNORECASE,
)
# Prose about a metric is no place of a number, unless it reports a divergence.
_DIVERGED = re.compile(
    r"\b(?:nan|inf(?!\s+to\b)|infinite|non-?finite|not finite"
    r"|diverge[ds]?|overflow\w*)\b",
    re.IGNORECASE,
)
# A progress bar colors what it prints; a metric is searched for in bytes.
_ANSI = re.compile(ANSI.pattern.encode())
_NAMES_WITH_NUMBERS = re.compile(
    # Only from the start of a name: a line of 64,000 letters is gone through once.
    rf"(?<![\w./@-])([A-Za-z_][\w./@-]*)[\"']?(?:\s*[=:]\s*|\s+)[\"']?{_NUMBER.pattern}",
    re.IGNORECASE,
)
TRAINER_STATE = "trainer_state.json"
# Characters read behind a place: a line may have a hundred thousand places.
_SEEN = 200


@dataclass(frozen=True)
class Place:
    """One place of a metric: its number, or why there is none to use.

    ``value`` is NaN where the place has no number (``None``, ``diverged``); None where
    it cannot be read for sure.
    """

    value: float | None
    raw: str

    @property
    def is_number(self) -> bool:
        """Whether a number was written: "nan" is one, "None" is not."""
        is_finite = self.value is not None and not math.isnan(self.value)
        return is_finite or bool(_NUMBER.fullmatch(self.raw))


def taken(text: str) -> str:
    """Return ``text`` if it is one of last, min and max."""
    if text not in get_args(Take):
        raise UnknownNameError.among("--take", text, get_args(Take))
    return text


@dataclass(frozen=True, kw_only=True)
class Metric:
    r"""Where the loss of a training stands, and which of its numbers counts.

    Args:
        text: A name (``val_loss``), a regular expression with one group, or a key of a
            file (``run.json:eval.loss``, ``log.jsonl:loss``, ``trainer_state.json``).
        take: Which number counts: the ``last``, or the ``min`` or ``max`` of all.
        maximize: Whether larger is better; None decides by the name. Losses are
            returned as they were read.

    Raises:
        UsageError: If it is none of these.
        UnknownNameError: If ``take`` is none of its three words.

    Example:
        >>> Metric(text="val_loss").kind, Metric(text=r"loss is (\S+)").kind
        ('name', 'pattern')

    """

    text: str
    take: Take = "last"
    maximize: bool | None = None

    def __post_init__(self) -> None:
        taken(self.take)
        if not self.text.strip():
            remedy = "Write the name that the training prints it by: --metric val_loss."
            must = "--metric must name the loss."
            raise UsageError(must, "nothing", remedy)
        if self.kind == "pattern":
            self._refuse_other_groups()

    def _refuse_other_groups(self) -> None:
        must = (
            "--metric must be a name, a regular expression with one group, or FILE:KEY."
        )
        remedy = r"Put one group around the number: --metric 'loss is (\S+)'."
        try:
            groups = re.compile(self.text).groups
        except re.error as error:
            got = f"{self.text!r}, which is no regular expression ({error})"
            raise UsageError(must, got, remedy) from None
        if groups != 1:
            raise UsageError(must, f"{self.text!r} with {groups} groups", remedy)

    @property
    def kind(self) -> Kind:
        """Whether it is a name, a pattern or a key of a file."""
        if self.file is not None:
            return "file"
        text = self.text
        return "pattern" if re.search(r"(?<!\\)\(", text) else "name"

    @property
    def file(self) -> tuple[str, str] | None:
        """The file and the key in it, of a metric that stands in one."""
        text = self.text
        found = re.fullmatch(r"(.+\.jsonl?|.+\.ndjson)(?::(.+))?", text)
        if not found or (not found[2] and not text.endswith(TRAINER_STATE)):
            return None
        return found[1], found[2] or "eval_loss"

    @property
    def key(self) -> str:
        """The name that the loss has in a dict that a function returns."""
        return self.file[1] if self.file else self.text

    @property
    def larger_is_better(self) -> bool:
        r"""Whether larger is better: ``maximize``, or else by the name.

        Example:
            >>> texts = ("val_acc", "m.json:loss", r"loss .* top-1 (\S+)")
            >>> [Metric(text=text).larger_is_better for text in texts]
            [True, False, True]

        """
        if self.maximize is not None:
            return self.maximize
        if self.kind != "pattern":
            return bool(larger_is_better(self.key))
        # A line may have several numbers: the nearest word before this one names it.
        before = re.sub(r"\\.|\[[^\]]*\]", " ", _text_before_the_group(self.text))
        names = re.sub(r"\s+score\b", "_score", before).split()
        directions = (larger_is_better(name) for name in reversed(names))
        return next((each for each in directions if each is not None), False)


@dataclass
class Readings:
    """The numbers of a metric, as they come; owns the last place and the best."""

    metric: Metric
    last: Place | None = None
    numbers: int = 0
    best: float = field(init=False)

    def __post_init__(self) -> None:
        self.best = math.inf if self.metric.take == "min" else -math.inf

    def add(self, place: Place) -> None:
        """Take in the next place."""
        self.last = place
        self.numbers += place.is_number
        value = place.value
        if self.metric.take != "last" and value is not None and math.isfinite(value):
            better = min if self.metric.take == "min" else max
            self.best = better(self.best, value)

    def add_last(self, backwards: Iterable[Place]) -> None:
        """Take in the last of some places, which come from the last to the first.

        It stops as soon as it is known whether there is a number.
        """
        last = None
        for place in backwards:
            last = last or place
            if self.numbers or place.is_number:
                self.numbers += place.is_number
                break
        self.last = last or self.last

    def settled(self) -> Place | None:
        """Return the place that counts, None if no number was ever there.

        A training whose last number is not finite has diverged, also where an earlier
        one is the best.
        """
        last = self.last
        if last is None or (not self.numbers and last.value is not None):
            return None
        is_number = last.value is not None and math.isfinite(last.value)
        if self.metric.take == "last" or not is_number:
            return last
        return Place(self.best, last.raw)


class Scanner:
    """Reads a stream of output for a metric, in blocks of whole lines."""

    def __init__(self, metric: Metric) -> None:
        self.readings = Readings(metric)
        self._places: _NamePlaces | _PatternPlaces | None = None
        if metric.kind == "name":
            self._places = _NamePlaces(metric.text)
        elif metric.kind == "pattern":
            self._places = _PatternPlaces(metric.text)

    def read(self, block: bytes) -> None:
        """Take in the next lines."""
        # A gigabyte is searched as a whole, and where only the last place counts, from
        # its end: seconds become milliseconds.
        plain = _ANSI.sub(b"", block) if b"\x1b" in block else block
        if self._places is None or not self._places.may_be_in(plain):
            return
        lines = plain.splitlines()
        if self.readings.metric.take == "last":
            self.readings.add_last(
                place
                for line in reversed(lines)
                for place in reversed(self._places.in_line(line))
            )
            return
        for line in lines:
            for place in self._places.in_line(line):
                self.readings.add(place)


class _NamePlaces:
    """Finds the places of a name in a line."""

    def __init__(self, name: str) -> None:
        # train_val_loss, val_loss_step, loss/val and val-loss.best are other names.
        # The name comes first, so that it is searched for as a plain text.
        literal = re.escape(name)
        pattern = rf"{literal}(?<![\w./-]{literal})(?![\w/]|-(?!>)|\.\w)"
        self._name = re.compile(pattern)
        # In bytes only ASCII letters are letters: it finds some places too many.
        self._bytes = re.compile(pattern.encode())
        self._needle = name.encode()

    def may_be_in(self, block: bytes) -> bool:
        """Whether any line of a block may have a place."""
        return self._needle in block and self._bytes.search(block) is not None

    def in_line(self, line: bytes) -> list[Place]:
        """Return the places in a line."""
        if not self.may_be_in(line):
            return []
        text = line.decode("utf-8", "replace")
        places = (
            self._place(text, found.start(), found.end())
            for found in self._name.finditer(text)
        )
        return [place for place in places if place is not None]

    def _place(self, line: str, start: int, end: int) -> Place | None:
        sign = _SIGN.match(line, end)
        at = sign.end() if sign else end
        has_sign = bool(sign and sign["sign"])
        place = number_at(line, at)
        if place is not None:
            return place
        rest = line[at : at + _SEEN].strip()
        is_alone = not rest and not re.search(r"\w", line[:start])
        has_blank = at > end and line[end].isspace()
        may_be = has_sign or is_alone or (rest and has_blank)
        raw = line[start : start + _SEEN]
        if may_be and _NONE.match(rest):
            return Place(math.nan, raw)
        if has_sign:
            return Place(None, raw)
        # A mention: "val_loss did not improve", "Namespace(metric='val_loss')".
        return Place(math.nan, raw) if _DIVERGED.search(rest) else None


class _PatternPlaces:
    """Finds the places of a regular expression with one group in a line."""

    def __init__(self, text: str) -> None:
        self._whole = re.compile(text)
        self._before = _before_the_group(text)
        # Lookarounds and anchors of the whole text may fail in a block of lines though
        # they match in one of them.
        is_safe = not re.search(r"\(\?[=!<]|\\[AZbB]", text)
        first = text if self._before is None else self._before.pattern
        self._block = re.compile(first, re.MULTILINE) if is_safe else None

    def may_be_in(self, block: bytes) -> bool:
        """Whether any line of a block may have a place."""
        if self._block is None:
            return True
        return self._block.search(block.decode("utf-8", "replace")) is not None

    def in_line(self, line: bytes) -> list[Place]:
        """Return the places in a line."""
        return list(self._found(line.decode("utf-8", "replace"))) if line else []

    def _found(self, line: str) -> Iterator[Place]:
        last = -1
        for found in self._whole.finditer(line):
            start = found.start(1)
            last = found.start()
            if start < 0:  # another branch of the pattern matched
                continue
            # A greedy .* in front eats the first digits: they are the number's all the
            # same. So are those that the group leaves behind.
            while start and (line[start - 1].isdigit() or line[start - 1] == "."):
                start -= 1
            at = start
            while line[at : at + 1] in (" ", "\t", '"', "'", "`"):
                at += 1
            place = number_at(line, at)
            yield place or Place(math.nan, line[found.start() : found.start() + _SEEN])
        if self._before is None:
            return
        for found in self._before.finditer(line):
            if found.start() > last:
                yield Place(math.nan, line[found.start() : found.start() + _SEEN])


def _text_before_the_group(text: str) -> str:
    opened = re.search(r"(?<!\\)\((?!\?(?!P<))", text)
    return text[: opened.start()] if opened else ""


def _before_the_group(text: str) -> re.Pattern[str] | None:
    """Return the pattern of what stands before the group, if it is specific enough."""
    before = _text_before_the_group(text)
    letters = re.sub(r"\\.|\[[^\]]*\]|\(\?[^)]*|\W", "", before)
    # ^ or .* stand everywhere; a single letter in too many places.
    if len(letters) < 2 or "|" in text:  # noqa: PLR2004
        return None
    try:
        return re.compile(before)
    except re.error:  # the group is inside of another
        return None


def number_at(line: str, at: int) -> Place | None:
    """Return the number that begins at a character, None if none does.

    A comma between digits may be a decimal comma, a thousand or a list: only the form
    1,234.5 is read. A percent sign is a unit, which is left out: 93.1% is 93.1.
    """
    wrapped = _WRAPPED.match(line, at)
    begin = wrapped.end() if wrapped else at
    found = _NUMBER.match(line, begin)
    if found is None:
        return None
    rest = line[found.end() : found.end() + _SEEN]
    is_clear = not _MORE_OF_A_NUMBER.match(rest)
    if wrapped and wrapped["list"] and not rest.lstrip().startswith("]"):
        is_clear = False  # of a history it would be the first, the oldest
    if not is_clear:
        return Place(None, line[at : at + _SEEN])
    return Place(number_from(found[0]), found[0])


def number_from(text: str) -> float:
    """Return the number of a text that the number pattern matched; NaN for 1.#IND."""
    plain = text.replace("−", "-").lower()
    if "inf" in plain:
        return -math.inf if plain.startswith("-") else math.inf
    if "n" in plain:  # nan, nan(ind), 1.#ind, 1.#qnan
        return math.nan
    return float(plain.replace(",", "").replace("d", "e"))


def judged(readings: Readings, seen: Iterable[str] = ()) -> Result:
    """Return the result by the place that counts.

    ``seen`` are names that stood with a number, for the nearest where there is no
    place.
    """
    metric, place = readings.metric, readings.settled()
    if place is None:
        why = f"no number of {metric.text} came"
        if readings.last is not None:
            why += f", only {clean(readings.last.raw, limit=80)!r}"
        near = nearest_names(metric.text, seen)
        has = f"; with a number there are {listed(near)}" if near else ""
        return Result(status="error", error=why + has)
    if place.value is None:
        why = f"no plain number stands at {clean(place.raw, limit=80)!r}"
        return Result(status="error", error=why)
    if math.isfinite(place.value):
        return Result(status="ok", loss=place.value)
    raw = clean(place.raw, limit=80)
    return Result(status="diverged", error=f"{metric.text}: {raw}")


def names_with_numbers(text: str) -> tuple[str, ...]:
    """Return the names that stand with a number in an output, each once."""
    found = (match[1] for match in _NAMES_WITH_NUMBERS.finditer(text))
    return tuple(dict.fromkeys(found))
