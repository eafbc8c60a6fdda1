"""The page: everything on it, nothing that acts, equal bytes for equal findings."""

import base64
import dataclasses
import hashlib
import math
import re
import sys
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from importlib import resources

import pytest
from report import hostile, synthetic

from dwindle.errors import MissingLibraryError
from dwindle.findings.conclusion import conclude
from dwindle.findings.model import Answer
from dwindle.report import figures, page, render, tables
from dwindle.report.opening import Origin
from dwindle.wording import NOTHING, raised


class Reader(HTMLParser):
    """Every element with its attributes, every table cell, every section's text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.text = ""
        self._in_cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("td", "th"):
            self._in_cell = True
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in_cell:
            self.cells[-1] += data


STUDY = synthetic.findings(axes=("width", "dataset_size"))
SHOWN = dataclasses.replace(synthetic.answer(), studies=(STUDY,))


@pytest.fixture(scope="module")
def answer_page() -> str:
    return page.render_page(SHOWN)


@pytest.fixture(scope="module")
def hostile_page() -> str:
    return page.render_page(hostile.answer())


@pytest.mark.parametrize("name", ["answer_page", "hostile_page"])
def test_nothing_runs_and_nothing_is_loaded(
    name: str, request: pytest.FixtureRequest
) -> None:
    """No handler, no picture, frame, font or address from outside; one script."""
    reader = Reader(request.getfixturevalue(name))
    tags = [tag for tag, _ in reader.elements]
    assert not {*tags} & {"img", "iframe", "object", "embed", "link", "base"}
    assert tags.count("script") == 1
    for tag, attributes in reader.elements:
        assert not [key for key in attributes if key.startswith("on")], tag
        assert not {"src", "srcset", "style", "action"} & set(attributes), tag
        assert (attributes.get("href") or "#").startswith("#"), tag


@pytest.mark.parametrize("name", ["answer_page", "hostile_page"])
def test_policy_allows_this_style_and_this_script_only(
    name: str, request: pytest.FixtureRequest
) -> None:
    """The policy forbids everything but our own two texts, known by their hashes."""
    html = request.getfixturevalue(name)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    allowed = dict(rule.split(" ", 1) for rule in unescape(policy).split("; "))
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert allowed.pop(directive) == f"'sha256-{digest}'"
        assert "url(" not in text
    assert allowed.pop("default-src") == "'none'"
    assert set(allowed.values()) == {"'none'"}


def test_the_verdict_comes_first(answer_page: str) -> None:
    """First two sentences and the remarks; every further sentence stands below."""
    opening, rest = answer_page.split("<main>", maxsplit=1)
    (headline,) = re.findall(r"<h1>(.*?)</h1>", opening)
    text, concluded = Reader(opening).text, conclude(SHOWN)
    assert headline == concluded.headline
    first, *others = concluded.sentences
    assert all(each in text for each in (first, *concluded.remarks))
    assert all(each in Reader(rest).text for each in others)


def test_sections_stand_in_the_order_of_questions(answer_page: str) -> None:
    """From the verdict over the evidence to the next step."""
    wanted = (
        "verdict table collapse exponents regret terms claims cells conditions next"
    )
    found = [
        attributes["id"]
        for tag, attributes in Reader(answer_page).elements
        if tag in ("header", "section")
    ]
    assert found == wanted.split()


def test_every_number_stands_in_a_table(answer_page: str) -> None:
    """Each λ, loss, exponent and regret that a figure draws can be read as text.

    Powers of ten stand there for reading; a value for sorting is beside what is no
    plain number.
    """
    cells = Reader(answer_page).cells
    for study in SHOWN.studies:
        for axis in study.axes:
            shown = (
                tables.cells_table(axis),
                tables.curve_table(axis),
                tables.rules_table(axis),
            )
            for table in shown:
                texts = [text for row in table.rows for text in row]
                assert {raised(text) for text in texts} <= set(cells)
    kept = re.findall(r'data-value="([^"]*)">([^<]*)', answer_page)
    assert {"10⁻⁵", "≤ 10⁻⁵"} & {text for _, text in kept}
    assert all(math.isfinite(float(value)) for value, _ in kept)


def test_every_claim_is_printed_whole(answer_page: str) -> None:
    """Claim, whose, how, number, verdict, explanation and evidence are all there."""
    text = Reader(answer_page).text
    for claim in synthetic.CLAIMS:
        for part in (claim.claim, claim.whose, claim.how, claim.number, claim.verdict):
            assert part in text
        assert claim.explanation in text
        assert all(value in text for row in claim.table for value in row)


def test_every_figure_is_described_in_words(answer_page: str) -> None:
    """Each drawing has a role and words, each figure its numbers as a table."""
    drawings = [a for tag, a in Reader(answer_page).elements if tag == "svg"]
    assert len(drawings) > 12
    for attributes in drawings:
        assert attributes["role"] == "img"
        assert len(attributes["aria-label"] or "") > 20
    figures = re.findall(r"<figure>.*?</figure>", answer_page, re.DOTALL)
    assert all("<details>" in each and "<td>" in each for each in figures)


def test_every_color_is_defined_in_both_themes(answer_page: str) -> None:
    """Each variable that is used has a value in light, in dark and in print."""
    used = set(re.findall(r"var\((--[\w-]+)\)", answer_page))
    for name in used:
        assert len(re.findall(rf"{name}:", answer_page)) == 3, name


def test_next_steps_can_be_copied(answer_page: str) -> None:
    """Every next step stands alone in a block, character by character."""
    blocks = re.findall(r"<pre><code>(.*?)</code></pre>", answer_page)
    assert tuple(map(unescape, blocks)) == conclude(SHOWN).next_steps


def test_hostile_text_is_only_text(hostile_page: str) -> None:
    """Hostile names are shown as they read, without control characters."""
    text = Reader(hostile_page).text
    assert "<script>alert(1)</script>" in text
    assert "{{ 7 * 7 }}" in text
    for gone in ("\x1b", "\x00", "\x07", "\u202e", "\u2066"):
        assert gone not in hostile_page


def test_the_script_and_its_page_stay_small(answer_page: str) -> None:
    """It makes nothing but what acts, in under 120 lines, without making markup."""
    script = (resources.files("dwindle.report") / "page.js").read_text(encoding="utf-8")
    assert script in answer_page
    assert script.count("\n") < 120
    for word in ("innerHTML", "eval", "fetch", "import", "document.write"):
        assert word not in script
    # Not even a name space: there is no address to visit anywhere.
    assert "http" not in answer_page.replace("http-equiv", "")
    # No two elements share an id, or a clip path would cut the wrong figure.
    ids = [a["id"] for _, a in Reader(answer_page).elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]*)\)", answer_page)) <= set(ids)


def test_a_page_of_a_study_shows_where_it_comes_from() -> None:
    """Day, version, file and command stand first; the same findings are the same bytes.

    Without claims and verdict table, those sections are absent.
    """
    origin = Origin(
        day="2026-11-29", version="1.2.3", command="dwindle <b>", study_file="a&b.toml"
    )
    study = synthetic.findings(axes=("depth",))
    html = page.render_page(study, origin)
    assert html == page.render_page(study, origin)
    text = Reader(html.split("<h1>", maxsplit=1)[0]).text
    for part in (origin.day, origin.version, origin.command, origin.study_file):
        assert part in text
    assert "Study: synthetic sgd" in text
    assert not re.findall('id="(?:claims|table)"', html)


def test_pages_of_findings_that_know_little() -> None:
    """Where something is missing, there is a page with the reason, without a hole."""
    unknown = dict.fromkeys(("optimum", "low", "high", "gain"))
    none = dict.fromkeys(("exponent", "low", "high", "anchor", "unchanged"))
    bare = synthetic.changed(
        synthetic.axis("depth"), cells={"matters": "cannot tell", **unknown}, **none
    )
    why = "no cell can tell"
    bare = dataclasses.replace(bare, policy="", why_null=why, rules=())
    for shown in (
        synthetic.unknown(),
        synthetic.study_over(bare),
        dataclasses.replace(STUDY, axes=()),
        Answer(claims=(), studies=(), seconds=0.0),
    ):
        text = Reader(page.render_page(shown)).text
        assert conclude(shown).headline in text
        assert not re.findall(r"\b(?:None|nan|Undefined)\b", text)
    # A diverged cell has no loss but a count.
    row = tables.curve_table(synthetic.unknown().axes[0]).rows[0]
    assert (row[2], row[5]) == (NOTHING, "2")


@pytest.mark.parametrize(
    ("library", "draw"),
    [
        ("jinja2", lambda: page.render_page(synthetic.unknown())),
        ("vl_convert", lambda: render.png({})),
    ],
)
def test_without_its_library_the_install_line_is_named(
    library: str, draw: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page wants a template library, a picture a converter."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingLibraryError) as raised:
        draw()
    assert raised.value.extra == "report"


SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="1">{}</svg>'


def test_ids_belong_to_their_figure() -> None:
    """Two figures of a page never share a clip path, however the converter counts."""
    drawn = SVG.format(
        '<clipPath id="clip7"><rect/></clipPath><g clip-path="url(#clip7)"/>'
    )
    one = render.inline_svg(drawn, name="one", alt="")
    two = render.inline_svg(drawn.replace("clip7", "clip9"), name="two", alt="")
    assert 'id="one-0"' in one
    assert 'clip-path="url(#one-0)"' in one
    assert two == one.replace("one-0", "two-0")
    # A figure is described by an attribute, and a text cannot leave its quotes.
    inline = render.inline_svg(SVG.format(""), name="f", alt='a "b" <c>')
    assert 'aria-label="a &quot;b&quot; &lt;c&gt;"' in inline


def test_a_figure_is_text_in_the_colors_of_the_page() -> None:
    """Letters stay letters, and a color is a variable."""
    spec = figures.terms_panel(synthetic.axis("depth"))
    drawn = render.svg(spec, name="f", alt="terms")
    assert ">penalty</text>" in drawn
    assert "var(--accent)" in drawn
