"""One self-contained HTML page, or one picture, of a study or of the answer.

The template reads findings themselves; here stand the functions that it calls: drawn
panels, and texts where several numbers make one.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator
from importlib import resources
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from dwindle.errors import MissingLibraryError, RefusedError
from dwindle.findings import names
from dwindle.findings.conclusion import conclude, studies_of
from dwindle.findings.model import Answer, AxisFindings, ClaimVerdict, Findings
from dwindle.findings.verdict import COLUMNS, ranked_rules, regret_order, verdict_rows
from dwindle.report import (
    collapse,
    collapse_figure,
    figures,
    opening,
    render,
    tables,
)
from dwindle.report.opening import Origin
from dwindle.report.themes import DARK, LIGHT, PAGE, css_variables
from dwindle.report.vega import Spec
from dwindle.report.writing import PAGE_MARK
from dwindle.wording import Numeral, capital, clean, fixed, number

if TYPE_CHECKING:
    from jinja2 import Environment

QUESTION = "Should L2 regularization be corrected for scale?"


class Mark(NamedTuple):
    """How a verdict on a claim is drawn: the color repeats what word and sign mean."""

    kind: str
    sign: str
    style: str


MARKS: dict[ClaimVerdict, Mark] = {
    "holds": Mark("holds", "✓", "green"),
    "holds with a correction": Mark("corrected", "≈", "yellow"),
    "does not hold": Mark("fails", "✗", "red"),
}


class PagePanel(NamedTuple):
    """One drawing, with what stands above it."""

    svg: str
    title: str = ""
    remark: str = ""


def picture_of(shown: Answer | Findings) -> Spec:
    """Return the one figure to show: curves as typed beside curves corrected."""
    spec = collapse_figure.main_figure(studies_of(shown))
    if spec is None:
        raise RefusedError(
            asked="A picture of how curves line up",
            why="No axis of these studies has an exponent.",
            instead="Train more seeds or cells first; the page shows what there is.",
        )
    return spec


def render_page(shown: Answer | Findings, origin: Origin | None = None) -> str:
    """Return the page as text: the same bytes for the same findings."""
    studies = studies_of(shown)
    claims = shown.claims if isinstance(shown, Answer) else None
    rows = () if claims is None else verdict_rows(studies)
    title = f"Study: {studies[0].study}" if claims is None else QUESTION
    conclusion = conclude(shown)
    return filled(
        "page.html.j2",
        title=title,
        kicker=title,
        headline=conclusion.headline,
        origin=origin,
        conclusion=conclusion,
        claims=claims or (),
        studies=studies,
        rules=COLUMNS,
        rule_titles=[names.rule_title(rule) for rule in COLUMNS],
        rows_by_study=[(k, list(g)) for k, g in groupby(rows, lambda row: row.study)],
    )


def filled(template: str, **values: object) -> str:
    """Return a page: a template with its values, our style and our script."""
    css, script = style_sheet(), _resource("page.js")
    page = environment().get_template(template)
    allowed = policy(css, script)
    text = page.render(css=css, script=script, policy=allowed, mark=PAGE_MARK, **values)
    return f"{text}\n"


def environment() -> "Environment":
    """Return the environment of templates: texts are escaped and without controls."""
    try:
        from jinja2 import Environment, FunctionLoader, StrictUndefined
    except ImportError:
        raise MissingLibraryError(
            library="jinja2", needed_for="The HTML page", extra="report"
        ) from None
    environment = Environment(
        # Every text may be a name from a study file of somebody else.
        autoescape=True,
        # All texts of findings are cleaned here, wherever they stand on the page.
        finalize=_inert,
        loader=FunctionLoader(_resource),
        # A name that is not defined is an error of ours, and no empty text.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    functions: Iterable[Callable[..., object]] = (
        collapse_remark,
        collapse_panels,
        exponent_panels,
        regret_panels,
        term_panels,
        names.quantity,
        fixed,
        opening.cards,
        opening.large_figure,
    )
    here = {each.__name__: each for each in functions}
    environment.globals.update(vars(tables) | here | {"MARKS": MARKS})
    environment.tests["numeral"] = lambda text: isinstance(text, Numeral)
    return environment


def _inert(value: object) -> object:
    """Clean a value that a template prints, but for drawings and the style sheet."""
    is_plain = isinstance(value, str) and not hasattr(value, "__html__")
    return clean(value, limit=2000) if is_plain else value


def style_sheet() -> str:
    """Return the style of the page with the colors of both themes filled in."""
    css = _resource("page.css")
    css = css.replace("LIGHT", css_variables(LIGHT))
    return "\n" + css.replace("DARK", css_variables(DARK))


def policy(css: str, script: str) -> str:
    """Return a content-security policy that allows this style and this script only.

    Nothing is loaded, neither pictures nor fonts, and nothing runs but the one script
    with this hash.
    """
    style, run = (
        base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()
        for each in (css, script)
    )
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; "
        f"script-src 'sha256-{run}'; base-uri 'none'; form-action 'none'"
    )


def _resource(name: str) -> str:
    return (resources.files("dwindle.report") / name).read_text(encoding="utf-8")


def collapse_remark(axis: AxisFindings) -> str:
    """Return why there is no exponent, or what to know of the one there is."""
    remark = axis.remark
    if axis.exponent is None:
        remark = f"no exponent, {remark or 'too few optima'}"
    return f"{capital(clean(remark, limit=2000))}." if remark else ""


def collapse_panels(key: str, axis: AxisFindings) -> Iterator[PagePanel]:
    """Yield the curves of an axis as typed and after each correction."""
    over = f"Validation loss over λ for every {names.quantity(axis.axis)}"
    if not any(map(collapse.lowest_loss, axis.cells)):
        return
    found = collapse.corrections(axis)
    for i, correction in enumerate(found):
        spread = collapse_figure.spread_text(axis, correction)
        panel = collapse_figure.CollapsePanel(
            axis=axis, correction=correction, theme=PAGE
        )
        drawn = render.svg(
            collapse_figure.collapse_panel(panel),
            name=f"{key}p{i}",
            alt=f"{over}, {correction.title}: {spread}.",
        )
        same = f"Also: {', '.join(correction.also)}. " if correction.also else ""
        remark = f"{same}{capital(spread)}."
        yield PagePanel(drawn, title=capital(correction.title), remark=remark)


def exponent_panels(key: str, study: Findings) -> Iterator[PagePanel]:
    """Yield the exponents of all rules beside the measured one, axis by axis."""
    for i, axis in enumerate(study.axes):
        rules = ranked_rules(axis)
        if all(rule.exponent is None for rule in rules):
            continue
        name, measured = names.quantity(axis.axis), f"measured {names.exponent(axis)}"
        predicted = ", ".join(
            f"{names.rule_title(rule.rule)} {fixed(rule.exponent)}" for rule in rules
        )
        drawn = render.svg(
            figures.exponents_panel(axis),
            name=f"{key}e{i}",
            alt=f"Exponent over {name}: {measured}; {predicted}.",
        )
        yield PagePanel(drawn, title=capital(name), remark=measured)


def regret_panels(key: str, study: Findings) -> Iterator[PagePanel]:
    """Yield the map of what every rule loses, if anything could be judged."""
    if regret_order(study):
        alt = "Regret of every rule on every axis; the numbers are in the table below."
        yield PagePanel(render.svg(figures.regret_map(study), name=f"{key}r", alt=alt))


def term_panels(key: str, study: Findings) -> Iterator[PagePanel]:
    """Yield penalty beside data term, for axes whose cells share a λ."""
    for i, axis in enumerate(study.axes):
        at, name = figures.common_decay(axis), names.quantity(axis.axis)
        if at is None:
            continue
        terms = "; ".join(
            f"{number(value)}: {number(data)} and {number(penalty)}"
            for value, data, penalty in figures.terms_rows(axis)
        )
        drawn = render.svg(
            figures.terms_panel(axis),
            name=f"{key}t{i}",
            alt=f"Data term and penalty over {name}, in nats. {terms}.",
        )
        remark = f"λ = {names.decay(at)} in every cell"
        yield PagePanel(drawn, title=capital(name), remark=remark)
