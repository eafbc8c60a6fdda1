"""Pages of studies, finds and tunes in an installed Chromium, opened as files."""

import re
from dataclasses import replace

import pytest
from finding.formula import Formula, search
from playwright.sync_api import sync_playwright
from report import synthetic
from tuning.test_tune import Planted, tuned
from web.run_page import AXE, AXE_RULES, CHROMIUM

from dwindle.finding.driver import Settings, run_search
from dwindle.finding.found import found_of
from dwindle.finding.page import page_of_found, render_page
from dwindle.finding.records import find_from_stored
from dwindle.report import page as report_page
from dwindle.report import tables
from dwindle.report.opening import Origin
from dwindle.store.store import read_store
from dwindle.tuning.page import page_of_tuned
from dwindle.wording import raised

NAMES = ("answer", "study", "find", "tune")
STUDY = synthetic.findings(axes=("depth",))
ORIGIN = Origin(day="2026-11-29", version="1", command="dwindle report my.db")
SHEETS = 12  # two for an axis; more than that nobody reads
LETTERS = 11  # pixels, of the least letter of a figure


@pytest.fixture(scope="module")
def chromium():
    """The installed browser; none is ever downloaded."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The address of each page, by its name."""
    folder = tmp_path_factory.mktemp("pages")
    files = {name: folder / f"{name}.html" for name in NAMES}
    answer = replace(synthetic.answer(), studies=(synthetic.findings(),))
    files["answer"].write_text(report_page.render_page(answer, ORIGIN), "utf-8")
    files["study"].write_text(report_page.render_page(STUDY, ORIGIN), "utf-8")
    store = folder / "find.db"
    run_search(search(Formula()), store, Settings())
    found = found_of(find_from_stored(read_store(store)))
    files["find"].write_text(render_page(page_of_found(found), ORIGIN), "utf-8")
    law = tuned(Planted(), folder / "tune.db")
    files["tune"].write_text(render_page(page_of_tuned(law), ORIGIN), "utf-8")
    return {name: path.as_uri() for name, path in files.items()}


def opened(chromium, address, **context):
    """Open a page; ``wrong`` collects what fails, violates the policy or is loaded."""
    page = chromium.new_context(**context).new_page()
    page.wrong = []
    page.on("console", lambda message: page.wrong.append(message.text))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("request", lambda request: page.wrong.append(request.url))
    page.goto(address)
    page.wrong.remove(address)
    return page


@pytest.mark.parametrize("name", NAMES)
def test_values_and_axes_by_key_and_pointer(chromium, pages, name):
    """Arrows and the pointer show values, a button the other axis; no violation."""
    page = opened(chromium, pages[name])
    tip, view = page.locator(".tip"), page.locator(".large .views > :visible")
    figure = view.locator("svg:visible")
    figure.focus()
    page.keyboard.press("ArrowRight")
    first = tip.inner_text()
    page.keyboard.press("ArrowRight")
    assert first != tip.inner_text()
    page.keyboard.press("Escape")
    assert tip.is_hidden()
    before = view.get_attribute("data-view")
    page.locator(".switch button").last.focus()
    page.keyboard.press("Enter")
    assert {before, view.get_attribute("data-view")} == {"linear", "logarithmic"}
    figure.focus()
    page.keyboard.press("ArrowRight")
    text, mark = tip.inner_text(), page.locator(".shown").bounding_box()
    page.keyboard.press("Escape")
    page.mouse.move(mark["x"] + mark["width"] / 2, mark["y"] + mark["height"] / 2)
    assert tip.inner_text() == text
    assert page.wrong == []


def test_small_figures_show_values_too(chromium, pages):
    """Every point of the collapse curves and every tile of the map, by the keys."""
    page = opened(chromium, pages["study"])
    tip = page.locator(".tip")
    for place, shown in (("#collapse", "λ = "), ("#regret", "loses ")):
        figure = page.locator(f"{place} svg").first
        figure.focus()
        page.keyboard.press("ArrowRight")
        assert shown in tip.inner_text()
        mark = page.locator(f"{place} .shown").bounding_box()
        page.keyboard.press("Escape")
        page.mouse.move(mark["x"] + mark["width"] / 2, mark["y"] + mark["height"] / 2)
        assert shown in tip.inner_text()
    assert page.wrong == []


def test_tables_are_sorted(chromium, pages):
    """By keyboard, up and down: powers of ten and intervals by value, then the rest."""
    page = opened(chromium, pages["study"])
    page.locator("summary:visible").evaluate_all("all => all.map(e => e.click())")
    table = page.locator("#collapse table").nth(1)
    rows = [
        (point.weight_decay, point.mean)
        for cell in STUDY.axes[0].cells
        for point in cell.curve
    ]
    decays = [raised(row[1]) for row in tables.curve_table(STUDY.axes[0]).rows]
    by_value = [text for _, text in sorted(zip(rows, decays, strict=True))]
    shown = table.locator("td:nth-child(2)")
    assert shown.all_text_contents() == decays
    table.locator("th:nth-child(2) button").focus()
    for order, wanted in (("ascending", by_value), ("descending", by_value[::-1])):
        page.keyboard.press("Enter")
        assert shown.all_text_contents() == wanted
        heads = table.locator("th[aria-sort]")
        assert heads.count() == 1
        assert heads.get_attribute("aria-sort") == order
    assert page.wrong == []


@pytest.mark.parametrize("name", NAMES)
def test_without_javascript_every_number_is_there(chromium, pages, name):
    """Nothing waits for a script: the same text, the folded tables open, no button."""
    page = opened(chromium, pages[name], java_script_enabled=False)
    assert page.locator("button, .tip").count() == 0
    assert page.locator(".large .views > :visible").count() == 1
    for summary in page.locator("summary:visible").all():
        if summary.locator("..").get_attribute("open") is None:
            summary.click()
    shown = page.locator("td:visible").count()
    assert shown == page.locator("td").count() > 0
    if name == "study":
        texts = set(page.locator("td, tbody th").all_text_contents())
        for axis in STUDY.axes:
            for table in (tables.cells_table(axis), tables.curve_table(axis)):
                assert {raised(text) for row in table.rows for text in row} <= texts
    assert page.wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_nothing(chromium, pages, name, width, scheme):
    """No violation, all tables open; nothing scrolls sideways, all letters readable."""
    size = {"width": width, "height": 844}
    # The policy would keep axe out as well.
    page = opened(
        chromium, pages[name], viewport=size, color_scheme=scheme, bypass_csp=True
    )
    page.add_script_tag(path=str(AXE))
    page.locator("summary:visible").evaluate_all("all => all.map(e => e.click())")
    found = page.evaluate(
        "rules => axe.run({runOnly: {type: 'tag', values: rules}})", list(AXE_RULES)
    )
    assert [
        (each["id"], [node["html"][:200] for node in each["nodes"]])
        for each in found["violations"]
    ] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    letters = """() => Math.min(...[...document.querySelectorAll('svg text')]
        .filter(e => e.checkVisibility())
        .map(e => parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().a))"""
    assert page.evaluate(letters) >= LETTERS


def test_a_study_of_six_axes_prints_on_twelve_sheets(chromium, tmp_path):
    """All figures and tables of six axes, 22 scales and 308 values, on A4."""
    path = tmp_path / "study.html"
    path.write_text(report_page.render_page(synthetic.findings(), ORIGIN), "utf-8")
    page = opened(chromium, path.as_uri())
    sheets = page.pdf(format="A4", prefer_css_page_size=True)
    assert len(re.findall(rb"/Type /Page\b", sheets)) <= SHEETS


@pytest.mark.parametrize("name", NAMES)
def test_paper_shows_what_is_folded(chromium, pages, name):
    """Without a script as well: tables stand open, nothing is cut, letters are 8 pt."""
    size = {"width": 690, "height": 1000}  # A4 between its margins
    page = opened(chromium, pages[name], java_script_enabled=False, viewport=size)
    page.emulate_media(media="print")
    for each in page.locator("details").all():
        is_repeated = each.evaluate("e => e.closest('header, #regret') !== null")
        assert each.locator("td").first.is_visible() != is_repeated
    # The end of a label may hang over the frame of the last figure of a row.
    overhang = page.evaluate("document.documentElement.scrollWidth") - size["width"]
    assert overhang <= LETTERS
