"""Calculator and manual in an installed Chromium: `make test-web`, network off."""

import json
import os
import shutil
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode

import psutil
import pytest
from architecture.source import ROOT
from cli.lines import as_json
from playwright.sync_api import sync_playwright

from dwindle.decay.knobs import KNOBS
from dwindle.web.calculate import calculate
from dwindle.web.page import EXAMPLES, POLICY
from dwindle.wording import number

BUILT = ROOT / "build" / "web"
MANUAL = ROOT / "build" / "docs"
AXE = ROOT / "build" / "web-packages" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = os.environ.get("DWINDLE_CHROMIUM") or shutil.which("chromium")
# The calculator, whose tests are below, and what Sphinx makes by itself.
NOT_WRITTEN = ("calculator/", "genindex", "py-modindex", "search", "_")
# What one waits for a first answer; the issue's own limit, on two cores.
FIRST_ANSWER_SECONDS = 10
PATIENCE = 60_000  # milliseconds, on a machine that does other things beside
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202e'\"&lr=9"
# Texts of what is wider than the room that it has.
SIDEWAYS = """[document.documentElement, ...document.querySelectorAll(".scroll")]
    .filter(each => each.scrollWidth > each.clientWidth).map(each => each.innerText)"""
AXE_RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


class _Files(SimpleHTTPRequestHandler):
    """Static files below a sub-path; those of the calculator with its policy."""

    def end_headers(self):
        """Send the policy as a header too: then it binds the worker as well."""
        if self.path.startswith(("/build/web/", "/build/docs/calculator/")):
            self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, *_):
        """Write nothing."""


@pytest.fixture(scope="module")
def host():
    """The address of this checkout, as a static host has it."""
    assert (BUILT / "index.html").is_file(), "make web builds the page"
    assert (MANUAL / "index.html").is_file(), "make docs builds the manual"
    handler = partial(_Files, directory=str(ROOT))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/build/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def site(host):
    """The address of the page, two folders below the root of its host."""
    return f"{host}web/"


@pytest.fixture(scope="module")
def chromium():
    """The installed browser; none is ever downloaded."""
    assert CHROMIUM, "install Chromium, or name it: DWINDLE_CHROMIUM=/path/to/chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


class Watched:
    """A page, with everything that went wrong or left the host."""

    def __init__(self, browser, site, **context):
        """Open an empty page."""
        self.site = site
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.wrong = []
        page = self.page
        page.on("console", lambda message: self.wrong.append(message.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("dialog", lambda dialog: self.wrong.append(dialog.message))
        page.on("request", self._hear)

    def _hear(self, request):
        if not request.url.startswith(self.site):
            self.wrong.append(request.url)

    def open(self, link=""):
        """Open a link, and wait for Python's answer."""
        self.page.goto(self.site + link)
        return self.answered()

    def answered(self):
        """Wait for Python's first answer."""
        self.page.wait_for_selector("body[data-answered]", timeout=PATIENCE)
        return self

    def request(self, tab, facts):
        """Go to a link in the open page, and return the answer that it shows."""
        before = int(self.page.get_attribute("body", "data-answered"))
        link = urlencode({"tab": tab, **facts})
        self.page.evaluate("link => { location.hash = link }", link)
        done = f'body[data-answered="{before + 1}"]'
        self.page.wait_for_selector(done, timeout=PATIENCE)
        return self.shown()

    def shown(self):
        """The headline, the title and cells, the line and the Python on the page."""
        page = self.page
        return {
            "headline": page.text_content("#headline"),
            "cells": page.locator("#parts tr > *").all_text_contents(),
            "command": page.text_content("#command"),
            "python": page.text_content("#python"),
        }

    def violations(self):
        """What axe finds wrong with the page as it stands, with the elements."""
        request = "rules => axe.run({runOnly: {type: 'tag', values: rules}})"
        found = self.page.evaluate(request, list(AXE_RULES))["violations"]
        return [(each["id"], [it["html"] for it in each["nodes"]]) for each in found]


def expected(tab, facts):
    """What the page must show, by the same function outside of a browser."""
    compact = json.dumps({"tab": tab, "facts": facts}, separators=(",", ":"))
    answer = json.loads(calculate(compact))  # as JavaScript writes JSON
    if "error" in answer:
        return {"headline": answer["error"], "cells": [], "command": "", "python": ""}
    return {
        "headline": answer["headline"],
        "cells": [
            cell
            for part in answer["parts"]
            for row in [part.get("heads", ()), *part.get("rows", ())]
            for cell in row
        ],
        "command": answer["command"],
        "python": answer["python"],
    }


@pytest.fixture(scope="module")
def desktop(chromium, site):
    """A page that has answered once; tests that share it open links."""
    return Watched(chromium, site, viewport={"width": 1280, "height": 900}).open()


def test_the_first_answer_comes_soon(chromium, site):
    """An example stands there at once; Python has answered within ten seconds."""
    watched = Watched(chromium, site)
    start, before = time.monotonic(), busy_seconds()
    watched.page.goto(site)
    at_once = watched.shown()
    assert at_once == expected("explain", EXAMPLES[0].facts)
    watched.answered()
    took, busy = time.monotonic() - start, busy_seconds() - before
    assert watched.shown() == at_once
    assert not watched.wrong
    # Beside other programs a browser has a part of the cores: its own time counts.
    assert min(took, busy) < FIRST_ANSWER_SECONDS, (took, busy)


def busy_seconds():
    """What the processes of the browser have computed so far, all of them together."""
    times = [
        each.cpu_times()
        for each in psutil.Process().children(recursive=True)
        if "chrom" in each.name()
    ]
    return sum(each.user + each.system for each in times)


def test_forty_conversions_are_those_of_the_command_line(desktop, capsys):
    """From SGD and from a half-life into 40 knobs: the command line's own numbers."""
    facts = {"lr": "0.01", "batch_size": "128", "dataset_size": "50000", "epochs": "20"}
    sources = (("torch.optim.SGD", "5e-4"), ("half-life", "3 epochs"))
    compared = 0
    for place, to in enumerate(name for name, knob in KNOBS.items() if knob.family):
        knob, value = sources[place % 2]
        wanted = {"knob": knob, "value": value, "to": to, **facts}
        there = expected("convert", wanted)
        if not there["command"]:
            continue
        shown = desktop.request("convert", wanted)
        assert shown == there
        printed = as_json(shown["command"].removeprefix("dwindle "), capsys)
        assert number(printed["value"]) in shown["headline"]
        compared += 1
        if compared == 40:
            break
    assert compared == 40
    assert not desktop.wrong


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.title)
def test_a_link_has_every_fact(desktop, example):
    """An example's link fills the form, and the form's own link is the same again."""
    shown = desktop.request(example.tab, example.facts)
    assert shown == expected(example.tab, example.facts)
    assert desktop.page.text_content("#link") == f"{desktop.site}#{example.link}"
    # A key in a field: the address is made anew, from all fields.
    before = int(desktop.page.get_attribute("body", "data-answered"))
    desktop.page.locator("#knob").press("End")
    desktop.page.locator("#knob").press("Space")
    done = f'body[data-answered="{before + 1}"]'
    desktop.page.wait_for_selector(done, timeout=PATIENCE)
    assert desktop.page.url == f"{desktop.site}#{example.link}"
    assert desktop.shown() == shown


@pytest.mark.parametrize(
    ("tab", "facts"),
    [
        ("explain", {"knob": HOSTILE, "value": "1"}),
        ("explain", {"knob": "torch.optim.SGD", "value": HOSTILE}),
        ("convert", {"knob": "torch.optim.SGD", "value": "1", "to": HOSTILE}),
        ("explain", {HOSTILE: HOSTILE}),
        ("explain", {"knob": "torch.optim.SGD", "value": "3 epochs"}),
        ("explain", {"knob": "torch.optim.SGD", "value": "1", "lr": "<b>0.1</b>"}),
        ("explain", {"knob": "torch.optim.SGD", "value": "1", "lr": "x" * 100_000}),
        ("explain", {"__proto__": "1", "constructor": "2", "tab2": "3"}),
    ],
)
def test_a_bad_link_is_refused_in_words(desktop, tab, facts):
    """Hostile text, units that do not fit, 100 kB: a text, and nothing that acts."""
    shown = desktop.request(tab, facts)
    assert shown == expected(tab, facts)
    assert desktop.page.locator("main img, main script, output *").count() == 0
    assert not desktop.wrong


def test_a_link_of_100_kb_opens(chromium, site):
    """As the first thing that a page sees, such a link is refused in words too."""
    watched = Watched(chromium, site).open(f"#tab=explain&lr={'9' * 100_000}")
    assert "characters" in watched.page.inner_text("#headline")
    assert not watched.wrong


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(chromium, site, width, scheme):
    """No violation of WCAG 2.2 AA on any tab; not even tables scroll sideways."""
    size = {"width": width, "height": 844}
    # The policy would keep axe out as well.
    watched = Watched(
        chromium, site, viewport=size, color_scheme=scheme, bypass_csp=True
    ).open()
    page = watched.page
    page.add_script_tag(path=str(AXE))
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(json.loads(f"[{ground[4:-1]}]")) < 3 * 128) == (scheme == "dark")
    for example in (EXAMPLES[0], EXAMPLES[3], EXAMPLES[-3], EXAMPLES[-1]):
        whole = "all_rules" if example.tab == "rescale" else "all_notes"
        watched.request(example.tab, {**example.facts, whole: "yes"})
        page.locator("summary:visible").evaluate_all("all => all.map(e => e.click())")
        assert watched.violations() == []
        assert page.evaluate(SIDEWAYS) == []
    assert not watched.wrong
    watched.context.close()


def test_the_keyboard_is_enough(desktop):
    """Tab and Enter reach a tab, a field, the notes and the button that copies."""
    page = desktop.page
    desktop.request("explain", EXAMPLES[0].facts)
    page.locator("nav a").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector('nav a[data-tab="rescale"][aria-current]')
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "document.activeElement.id || document.activeElement.dataset.copies"
            )
        )
    assert {"knob", "value", "lr", "lr-after", "command", "python", "link"} <= reached


def test_copy_puts_the_line_into_the_clipboard(chromium, site):
    """The button copies what stands beside it."""
    grants = ["clipboard-read", "clipboard-write"]
    watched = Watched(chromium, site, permissions=grants).open()
    watched.page.click('[data-copies="command"]')
    watched.page.get_by_text("Copied.").wait_for()
    copied = watched.page.evaluate("navigator.clipboard.readText()")
    assert copied == watched.shown()["command"]


def test_without_javascript_the_examples_stand(chromium, site):
    """With JavaScript off the page has a notice, and every example's numbers."""
    page = chromium.new_context(java_script_enabled=False).new_page()
    page.goto(site)
    assert "JavaScript" in page.inner_text("#still")
    assert not page.locator("#facts").is_visible()
    for example in EXAMPLES:
        assert page.get_by_text(example.answer["headline"], exact=True).count() >= 1


def test_as_a_file_it_says_what_to_run(chromium):
    """Opened from a disk it shows the examples, and what to run for the rest."""
    page = chromium.new_page()
    page.goto((BUILT / "index.html").as_uri())
    assert "python -m http.server" in page.inner_text("#still")
    assert page.get_by_text(EXAMPLES[0].answer["headline"], exact=True).is_visible()
    assert not page.locator("#facts").is_visible()


def test_the_manual_has_the_calculator(chromium, host):
    """From the start page of the manual to an answer, below the manual's own path."""
    watched = Watched(chromium, f"{host}docs/")
    watched.page.goto(f"{host}docs/index.html")
    watched.page.get_by_role("link", name="Open the calculator").click()
    watched.answered()
    assert watched.page.url.startswith(f"{host}docs/calculator/")
    assert watched.shown() == expected("explain", EXAMPLES[0].facts)
    assert not watched.wrong


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_in_the_manual(chromium, host, width, scheme):
    """Every page: no violation, nothing from elsewhere, no page that is too wide."""
    context = {"viewport": {"width": width, "height": 844}, "color_scheme": scheme}
    watched = Watched(chromium, f"{host}docs/", **context)
    faults = []
    for path in sorted(MANUAL.rglob("*.html")):
        name = path.relative_to(MANUAL).as_posix()
        if name.startswith(NOT_WRITTEN):
            continue
        watched.page.goto(f"{host}docs/{name}")
        watched.page.add_script_tag(path=str(AXE))
        faults += [(name, each) for each in watched.violations()]
        if watched.page.evaluate("document.documentElement.scrollWidth") > width:
            faults.append((name, "scrolls sideways"))
    assert not faults
    assert not watched.wrong
    watched.context.close()
