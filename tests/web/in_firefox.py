"""Calculator and report in an installed Firefox, driven by its own Marionette."""

import json
import os
import shutil
import socket
import subprocess
import time
from itertools import islice
from urllib.parse import urlencode

import pytest
from report import synthetic
from web.run_page import BUILT, FIRST_ANSWER_SECONDS, HOSTILE, expected, host

from dwindle.decay.knobs import KNOBS
from dwindle.report import page as report_page
from dwindle.web.page import EXAMPLES

__all__ = ["host"]
_NAMES = ("firefox", "firefox-esr")
FIREFOX = os.environ.get("DWINDLE_FIREFOX") or next(
    filter(None, map(shutil.which, _NAMES)), "firefox"
)
PATIENCE = 60  # seconds
SHOWN = """
  const text = (id) => document.getElementById(id).textContent;
  const cells = [...document.querySelectorAll("#parts tr > *")];
  return {answered: document.body.dataset.answered ?? null, shown: {
    headline: text("headline"), cells: cells.map((each) => each.textContent),
    command: text("command"), python: text("python")}};"""
KEYS = """
  const figure = [...document.querySelectorAll(arguments[0])]
      .find((each) => each.checkVisibility());
  const seen = [];
  for (const key of ["ArrowRight", "ArrowRight", "Escape"]) {
    figure.dispatchEvent(new KeyboardEvent("keydown", {key}));
    const tip = document.querySelector(".tip");
    seen.push(tip.hidden ? "" : tip.textContent);
  }
  return seen;"""


class Firefox:
    """A browser with one page; owns its process and the connection to it."""

    def __init__(self, profile):
        """Start it with a new profile."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (profile / "user.js").write_text(f'user_pref("marionette.port", {port});\n')
        options = ("--headless", "--marionette", "--no-remote", "--profile", profile)
        self.process = subprocess.Popen([FIREFOX, *options], stderr=subprocess.DEVNULL)
        self.line = self.wait(lambda: self._connected(port))
        self.answers = self.line.makefile("rb")
        self._read()  # its greeting
        self.do("WebDriver:NewSession", capabilities={})

    @staticmethod
    def _connected(port):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        except ConnectionRefusedError:
            return None

    def _read(self):
        """Read a message: its length, a colon, and JSON."""
        length = b"".join(iter(lambda: self.answers.read(1), b":"))
        return json.loads(self.answers.read(int(length)))

    def do(self, command, **parameters):
        """Give a command of WebDriver, and return what came of it."""
        message = json.dumps([0, 0, command, parameters]).encode()
        self.line.sendall(b"%d:%b" % (len(message), message))
        *_, error, result = self._read()
        assert error is None, error
        return result

    def go(self, address):
        """Open an address."""
        self.do("WebDriver:Navigate", url=address)

    def script(self, text, *arguments):
        """Run a script in the page, and return what it returns."""
        words = {"script": text, "args": list(arguments)}
        return self.do("WebDriver:ExecuteScript", **words)["value"]

    def wait(self, found):
        """Poll until there is a result."""
        end = time.monotonic() + PATIENCE
        while (it := found()) is None:
            assert time.monotonic() < end, "Firefox has not answered"
            time.sleep(0.05)
        return it

    def answer(self, before=None):
        """The answer after another one."""

        def other():
            page = self.script(SHOWN)
            return None if page["answered"] in {None, before} else page

        return self.wait(other)

    def close(self):
        """End it, and wait until it has gone."""
        self.do("Marionette:Quit", flags=["eForceQuit"])
        self.line.close()
        self.process.wait(PATIENCE)


@pytest.fixture(scope="module")
def firefox(tmp_path_factory):
    """The installed browser; none is ever downloaded."""
    browser = Firefox(tmp_path_factory.mktemp("firefox"))
    yield browser
    browser.close()


def test_the_first_answer_is_that_of_the_example(firefox, host):
    """Pyodide starts in Firefox as well, and soon."""
    start = time.monotonic()
    firefox.go(f"{host}web/")
    page = firefox.answer()
    assert page["shown"] == expected("explain", EXAMPLES[0].facts)
    assert time.monotonic() - start < FIRST_ANSWER_SECONDS


def test_ten_conversions_are_those_of_python(firefox, host):
    """The same texts as outside of a browser; a hostile link is a text, too."""
    facts = {"knob": "torch.optim.SGD", "value": "5e-4", "lr": "0.01"}
    knobs = (name for name, knob in KNOBS.items() if knob.family)
    requests = [{**facts, "to": to} for to in islice(knobs, 10)]
    requests.append({**facts, "to": HOSTILE})
    firefox.go(f"{host}web/")
    page = firefox.answer()
    for each in requests:
        link = urlencode({"tab": "convert", **each})
        firefox.script("location.hash = arguments[0]", link)
        page = firefox.answer(page["answered"])
        assert page["shown"] == expected("convert", each)
    assert sum(bool(expected("convert", each)["command"]) for each in requests) == 10
    acts = "document.querySelectorAll('main img, main script, output *').length"
    assert firefox.script(f"return {acts}") == 0


def test_as_a_file_it_says_what_to_run(firefox):
    """From a disk there are the examples, and no form."""
    firefox.go((BUILT / "index.html").as_uri())
    assert "python -m http.server" in firefox.script(
        "return document.getElementById('still').innerText"
    )
    assert not firefox.script(
        "return document.getElementById('facts').checkVisibility()"
    )


def test_a_report_shows_values(firefox, tmp_path):
    """The script of a report runs by its hash: keys show values, Escape hides them."""
    path = tmp_path / "study.html"
    study = synthetic.findings(axes=("depth",))
    path.write_text(report_page.render_page(study), "utf-8")
    firefox.go(path.as_uri())
    for place in (".large svg", "#collapse svg", "#regret svg"):
        first, second, none = firefox.script(KEYS, place)
        assert first != second
        assert all((first, second))
        assert none == ""
