"""The page: everything on it, nothing that acts, equal bytes for equal findings."""

import base64
import builtins
import dataclasses
import hashlib
import math
import re
from html import unescape
from html.parser import HTMLParser
from importlib import resources

import pytest
from report import hostile, synthetic

from dwindle.errors import MissingLibraryError
from dwindle.findings.conclusion import conclude
from dwindle.findings.model import Answer, Findings
from dwindle.report import page, tables
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


@pytest.fixture(scope="module")
def answer_page() -> str:
    return page.render_page(synthetic.answer())


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


def test_the_script_stays_small(answer_page: str) -> None:
    """It makes nothing but what acts, in under 120 lines, without making markup."""
    script = (resources.files("dwindle.report") / "page.js").read_text(encoding="utf-8")
    assert script in answer_page
    assert script.count("\n") < 120
    for word in ("innerHTML", "eval", "fetch", "import", "document.write"):
        assert word not in script


def test_no_address_in_the_whole_page(answer_page: str) -> None:
    """Not even a name space: there is no address to visit anywhere."""
    assert "http" not in answer_page.replace("http-equiv", "")


def test_the_verdict_comes_first(answer_page: str) -> None:
    """First two sentences and the remarks; every further sentence stands below."""
    opening, rest = answer_page.split("<main>", maxsplit=1)
    (headline,) = re.findall(r"<h1>(.*?)</h1>", opening)
    told, concluded = Reader(opening).text, conclude(synthetic.answer())
    assert headline == concluded.headline
    first, *others = concluded.sentences
    assert all(each in told for each in (first, *concluded.remarks))
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
    for study in synthetic.answer().studies:
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


def test_every_claim_is_told_whole(answer_page: str) -> None:
    """Claim, whose, how, number, verdict, explanation and evidence are all there."""
    told = Reader(answer_page).text
    for claim in synthetic.CLAIMS:
        for part in (claim.claim, claim.whose, claim.how, claim.number, claim.verdict):
            assert part in told
        assert claim.explanation in told
        assert all(value in told for row in claim.table for value in row)


def test_every_figure_is_told_in_words(answer_page: str) -> None:
    """Each drawing has a role and words, each figure its numbers as a table."""
    drawings = [a for tag, a in Reader(answer_page).elements if tag == "svg"]
    assert len(drawings) > 35
    for attributes in drawings:
        assert attributes["role"] == "img"
        assert len(attributes["aria-label"] or "") > 20
    figures = re.findall(r"<figure>.*?</figure>", answer_page, re.DOTALL)
    assert all("<details>" in each and "<td>" in each for each in figures)


def test_ids_are_unique(answer_page: str) -> None:
    """No two elements share an id, or a clip path would cut the wrong figure."""
    ids = [a["id"] for _, a in Reader(answer_page).elements if "id" in a]
    assert len(ids) == len(set(ids))
    linked = set(re.findall(r"url\(#([^)]*)\)", answer_page))
    assert linked <= set(ids)


def test_every_color_is_defined_in_both_themes(answer_page: str) -> None:
    """Each variable that is used has a value in light, in dark and in print."""
    used = set(re.findall(r"var\((--[\w-]+)\)", answer_page))
    for name in used:
        assert len(re.findall(rf"{name}:", answer_page)) == 3, name


def test_next_steps_can_be_copied(answer_page: str) -> None:
    """Every next step stands alone in a block, character by character."""
    blocks = re.findall(r"<pre><code>(.*?)</code></pre>", answer_page)
    assert tuple(map(unescape, blocks)) == conclude(synthetic.answer()).next_steps


def test_hostile_text_is_only_text(hostile_page: str) -> None:
    """Hostile names are shown as they read, without control characters."""
    told = Reader(hostile_page).text
    assert "<script>alert(1)</script>" in told
    assert "{{ 7 * 7 }}" in told
    for gone in ("\x1b", "\x00", "\x07", "\u202e", "\u2066"):
        assert gone not in hostile_page


def test_equal_findings_give_equal_bytes() -> None:
    """The page has no clock, no counter and no random order."""
    study = synthetic.findings(axes=("depth",))
    assert page.render_page(study) == page.render_page(study)


def test_a_page_says_where_it_comes_from() -> None:
    """Day, version, study file and command stand in the first screen, as text only."""
    origin = Origin(
        day="2026-11-29", version="1.2.3", command="dwindle <b>", study_file="a&b.toml"
    )
    html = page.render_page(synthetic.findings(axes=("depth",)), origin)
    told = Reader(html.split("<h1>", maxsplit=1)[0]).text
    for part in (origin.day, origin.version, origin.command, origin.study_file):
        assert part in told


def test_a_study_alone_has_a_page() -> None:
    """Without claims and verdict table, those sections are absent."""
    told = page.render_page(synthetic.findings(axes=("depth",)))
    assert 'id="claims"' not in told
    assert 'id="table"' not in told
    assert "Study: synthetic sgd" in told


def nothing_measured() -> Findings:
    """An axis with cells but rules without numbers, a note, and no policy."""
    unknown = dict.fromkeys(("optimum", "low", "high", "gain"))
    none = dict.fromkeys(("exponent", "low", "high", "anchor", "unchanged"))
    bare = synthetic.changed(
        synthetic.axis("depth"), cells={"matters": "cannot tell", **unknown}, **none
    )
    why = "no cell can tell"
    bare = dataclasses.replace(bare, policy="", why_null=why, rules=())
    return synthetic.study_over(bare)


def test_pages_of_findings_that_know_little() -> None:
    """Whatever is missing, there is a page, it says so, and no hole shows."""
    for shown in (
        synthetic.unknown(),
        nothing_measured(),
        dataclasses.replace(synthetic.findings(), axes=()),
        Answer(claims=(), studies=(), seconds=0.0),
    ):
        text = Reader(page.render_page(shown)).text
        assert conclude(shown).headline in text
        assert not re.findall("None|nan|Undefined", text)


def test_diverged_trainings_are_shown() -> None:
    """A diverged cell has no loss but a count, and the page warns of it."""
    html = page.render_page(synthetic.unknown())
    assert "4 trainings diverged" in html
    row = tables.curve_table(synthetic.unknown().axes[0]).rows[0]
    assert row[2] == NOTHING
    assert row[5] == "2"


def test_without_jinja2_the_install_line_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the template library the error says what to install."""
    real = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "jinja2":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingLibraryError) as raised:
        page.render_page(synthetic.unknown())
    assert raised.value.extra == "report"
