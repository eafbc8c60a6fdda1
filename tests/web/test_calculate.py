"""What the calculator's page hands to Python, and what it gets back."""

import json
import subprocess
import sys

import pytest
from cli.lines import as_json

import dwindle
from dwindle.show import as_text
from dwindle.web.calculate import (
    MOST_LETTERS,
    MOST_OF_A_FIELD,
    PAGE,
    TABS,
    calculate,
)
from dwindle.web.page import EXAMPLES, POLICY, page_fields, render_page
from dwindle.wording import TERMINAL

# Facts of every kind: shares, clocks, pairs, lists, flags, tokens, before and after.
ASKED = (
    ("explain", {"knob": "torch.SGD", "value": "5e-4", "lr": "0.1", "nesterov": "yes",
                 "momentum": "90%", "steps": "10k", "shape": "wsd", "warmup": "5%"}),
    ("explain", {"knob": "torch.optim.AdamW", "value": "1/64", "lr": "1e-3",
                 "betas": "0.9,0.95", "dtype": "bf16", "steps": "1e4"}),
    ("explain", {"knob": "question.l2", "value": "1e-3", "units": "784,256,10"}),
    ("explain", {"knob": "torch.SGD", "value": "1e-4", "lr": "0.1", "epochs": "90",
                 "shape": "multistep", "milestones": "30,60 epochs",
                 "batch_size": "256", "dataset_size": "1281167", "gamma": "0.1"}),
    ("explain", {"knob": "torch.optim.AdamW", "value": "0.1", "lr": "1e-3",
                 "steps": "1000", "decay_schedule": "cosine from 10%"}),
    ("rescale", {"knob": "torch.optim.AdamW", "value": "0.1", "lr": "1e-3:linear",
                 "batch_size": "256:x8", "dataset_size": "50k", "epochs": "90"}),
    ("rescale", {"knob": "torch.optim.AdamW", "value": "0.1", "lr": "3e-4",
                 "batch_tokens": "0.5M", "tokens": "20B:100B"}),
    ("convert", {"knob": "half-life", "value": "20% of the run", "to": "keras.AdamW",
                 "lr": "1e-3", "steps": "5000", "shape": "cosine",
                 "warmup": "100 steps"}),
    ("convert", {"knob": "torch.optim.AdamW", "value": "0.1", "keep": "run",
                 "to": "torch.optim.AdamW", "lr": "1e-3", "steps": "1000:2000"}),
)  # fmt: skip


def answer_to(tab, facts):
    """The answer to facts on a tab."""
    return json.loads(calculate(json.dumps({"tab": tab, "facts": facts})))


def by_python(code):
    """What the last expression of a pasted piece of Python gives."""
    first, _, last = code.partition("\n\n")
    names = {}
    exec(first, names)  # noqa: S102 our own text, as a person pastes it
    return eval(last, names)  # noqa: S307


@pytest.mark.parametrize(
    ("tab", "facts"), [*ASKED, *((each.tab, each.facts) for each in EXAMPLES)]
)
def test_page_command_and_python_agree(tab, facts, capsys):
    """The line beside an answer prints it, and the Python beside it returns it."""
    answer = answer_to(tab, facts)
    line = answer["command"].removeprefix("dwindle ")
    found = by_python(answer["python"])
    printed, returned = as_json(line, capsys), json.loads(json.dumps(found.as_dict()))
    for document in (printed, returned):  # Python was given numbers, and read no text
        document.pop("understood", None)
    assert printed == returned
    assert any(part.get("rows") for part in answer["parts"])
    assert len(answer["headline"].split()) <= 15


def test_an_answer_names_fields_where_a_terminal_names_options():
    """No option that the page has no place for: its fields and boxes are named."""
    facts = {"knob": "torch.optim.AdamW", "value": "0.1", "lr": "3e-4:8e-4"}
    facts |= {"batch_size": "256:2048", "dataset_size": "1281167", "epochs": "90"}
    text = json.dumps(answer_to("rescale", facts)["parts"])
    wanted = (PAGE.all_rules, PAGE.given.format(name="normalized", value="no"))
    assert all(json.dumps(each)[1:-1] in text for each in wanted)
    assert TERMINAL.all_rules not in text
    assert "--" not in text


@pytest.mark.parametrize(
    ("tab", "facts", "kind", "named"),
    [
        ("explain", {"knob": "torch.optim.AdamW"}, "RangeError", "value"),
        ("explain", {"value": "0.1"}, "RangeError", "knob"),
        ("explain", {"knob": "AdamW:x", "value": "1"}, "UnknownNameError", ""),
        ("convert", {"knob": "keras.L2", "value": "1"}, "RangeError", "to must"),
        ("explain", {"knob": "torch.SGD", "value": "3 epochs"}, "RangeError", "number"),
        ("explain", {"knob": "torch.SGD", "value": "1", "tokens": "3 apples"},
         "RangeError", "--tokens"),
        ("explain", {"lt": "0.1"}, "UnknownNameError", "Nearest: lr"),
        ("explode", {}, "UnknownNameError", "explain"),
        ("explain", {"knob": "x" * (MOST_OF_A_FIELD + 1)}, "RangeError", "200"),
        ("explain", {"knob": "x" * 100_000}, "RangeError", f"{MOST_LETTERS:,}"),
        ("explain", {"knob": "<img src=x onerror=alert(1)>\u202e\x1b[31m\0",
                     "value": "1"}, "UnknownNameError", "<img"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_words(tab, facts, kind, named):
    """A refusal is one text with what to mend, without a character that acts."""
    answer = answer_to(tab, facts)
    assert answer["kind"] == kind
    assert named in answer["error"]
    assert answer["error"].isprintable()
    assert len(answer["error"]) <= 1000


@pytest.mark.parametrize("request_", ["", "[]", "{}", '{"tab": 1, "facts": 2}', "null"])
def test_a_broken_request_is_no_traceback(request_):
    """What the page never sends is an error object, too."""
    assert json.loads(calculate(request_))["kind"]


def test_every_option_of_a_command_is_a_field():
    """Fields come from the commands' tables: none is missing, none stands twice."""
    fields = page_fields()
    names = [each.name for each in fields]
    assert len(set(names)) == len(names)
    page = render_page(app="app", version="1", python="Pyodide")
    lacking = [
        (tab.name, option.argument)
        for tab in TABS
        for option in tab.fields()
        if f'name="{option.argument}"' not in page
        or tab.name not in next(f.tabs for f in fields if f.name == option.argument)
    ]
    assert not lacking


def test_the_page_has_its_examples_and_nothing_inline():
    """Examples stand in the page as text; no code or style is inline."""
    page = render_page(app="app", version="1", python="Pyodide")
    assert "<style" not in page
    assert "<script>" not in page
    assert 'style="' not in page
    assert "'unsafe-eval'" not in POLICY
    assert "'unsafe-inline'" not in POLICY
    for example in EXAMPLES:
        assert "error" not in example.answer, example
        assert example.answer["headline"].replace("'", "&#39;") in page


def test_it_needs_the_standard_library_only():
    """A browser's Python has no packages: none is imported, before or in a call."""
    code = (
        "import sys, json\n"
        "from dwindle.web.calculate import calculate\n"
        "for tab, facts in json.load(sys.stdin):\n"
        "    answer = calculate(json.dumps({'tab': tab, 'facts': facts}))\n"
        "    assert 'error' not in json.loads(answer), answer\n"
        "ours = {'dwindle', '__main__', *sys.stdlib_module_names}\n"
        "print({name.partition('.')[0] for name in sys.modules} - ours)\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        input=json.dumps(ASKED),
        env={"PYTHONPATH": str(dwindle.__path__[0]).removesuffix("dwindle")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("set()", "")


def test_a_table_is_handed_over_whole():
    """Lines, cells and notes of an answer are those that Python shows."""
    for tab, facts in ASKED:
        answer = answer_to(tab, facts)
        shown = as_text(by_python(answer["python"]).drawn(face=PAGE), width=10_000)
        texts = [
            text
            for part in answer["parts"]
            for texts in (
                [part.get("line", "")],
                part.get("points", ()),
                part.get("heads", ()),
                *part.get("rows", ()),
            )
            for text in texts
        ]
        lines = [line for each in texts for line in each.splitlines()]
        assert not [each for each in lines if each not in shown], tab
