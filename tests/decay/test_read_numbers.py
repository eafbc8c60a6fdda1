"""Numbers given as text are read as numbers, with a note on how."""

import json
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwindle.cli.main import main
from dwindle.decay.explain import explain
from dwindle.decay.half_life import HalfLife
from dwindle.decay.read_numbers import how_it_was_read, read_number, whole_of
from dwindle.decay.run import Run
from dwindle.decay.setting import read_setting, target_knob
from dwindle.errors import RangeError, UnknownNameError

# A YAML file without points in its numbers, as PyYAML reads it.
YAML_BORN = {"lr": "1e-3", "batch_size": "1e2", "dataset_size": "5e4", "epochs": "9e0"}
NUMBERS = {"lr": 1e-3, "batch_size": 100, "dataset_size": 50_000, "epochs": 9.0}


def test_a_run_of_texts_is_the_run_of_its_numbers():
    """Texts and numbers give equal runs, and notes on how texts were read."""
    run = Run(**YAML_BORN)
    assert run == Run(**NUMBERS)
    assert hash(run) == hash(Run(**NUMBERS))
    assert run.total_steps == 4500
    assert len(run.read_as) == len(YAML_BORN)
    assert Run(**NUMBERS).read_as == ()


def test_an_explanation_reports_how_texts_were_read():
    """Notes on the value and the facts given as text, beside the same numbers."""
    found = explain("1e-1", "torch.AdamW", run=Run(**YAML_BORN))
    assert found.understood == (
        how_it_was_read("torch.optim.AdamW", "1e-1", 0.1),
        *Run(**YAML_BORN).read_as,
    )
    plain = explain(0.1, "torch.AdamW", run=Run(**NUMBERS))
    assert plain.understood == ()
    from_text, usual = found.as_dict(), plain.as_dict()
    assert from_text.pop("understood") != usual.pop("understood")
    assert json.dumps(from_text) == json.dumps(usual)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_text_that_is_the_number_itself_is_not_reported(number):
    """There is no note on a number's own repr."""
    assert how_it_was_read("lr", repr(number), number) == ""


NUMBERS_IN_TEXTS = {
    "1/32768": 2.0**-15,
    "1 / 3": 1 / 3,
    "2**-15": 2.0**-15,
    "10^-4": 1e-4,
    "0.1%": 0.001,
    "12.5 %": 0.125,
    "20B": 20e9,
    "1.28M": 1_280_000.0,
    "50k": 50_000.0,
    "50K": 50_000.0,
    "1.5T": 1.5e12,
    "1,281,167": 1_281_167.0,
    "1_281_167": 1_281_167.0,
    "1e-3": 1e-3,
    ".5": 0.5,
    " 5e-4 ": 5e-4,
    "−0.5": -0.5,  # the sign of a typeset page
    "0.3": 0.3,
    "30%": 0.3,  # the float nearest to what was written, as 0.3 is
    "0.07%": 0.0007,
    "3k/4": 750.0,
    "inf": math.inf,
    "1e400k": math.inf,
}
# A decimal comma, a unit or a slip; the powers would take all time or memory.
NO_NUMBERS = [
    *("", "0,1", "0,001", "1,28,000", "O.1", "1.2.3", "1/0", "1/2/3", "/2", "1/"),
    *("5m", "5 kg", "%", "1%%", "0**-1", "1e", "k", "1 2", "fast"),
    *("1e999999999k", "9**9**9"),
]


def test_a_number_may_be_written_in_many_ways():
    """Fractions, powers, shares and suffixes are the nearest float, to the last bit."""
    assert {text: read_number(text) for text in NUMBERS_IN_TEXTS} == NUMBERS_IN_TEXTS
    assert {text: read_number(text) for text in NO_NUMBERS} == dict.fromkeys(NO_NUMBERS)


@given(st.decimals(min_value="-1e9", max_value="1e9", places=9))
def test_a_percentage_is_a_hundredth_to_the_last_bit(number):
    """x% is the float nearest to x/100, which x/100 in floats may not be."""
    assert read_number(f"{number}%") == float(number / 100)


TYPED = {
    "lr": ("1/32768", 2.0**-15),
    "momentum": ("90%", 0.9),
    "batch_size": ("50k", 50_000),
    "dataset_size": ("1.28M", 1_280_000),
    "epochs": ("1/2", 0.5),
    "steps": ("0.5M", 500_000),
    "tokens_per_example": ("2k", 2000.0),
    "width": ("1k", 1000),
}


def test_every_fact_is_read_by_the_one_reader(capsys):
    """In Python and at its option, a fact may be written as any number may."""
    for fact, (text, number) in TYPED.items():
        assert getattr(Run(**{fact: text}), fact) == number
        option = "--" + fact.replace("_", "-")
        assert main(["explain", "torch.SGD=0.0001", option, text, "--json"]) == 0
        printed = json.loads(capsys.readouterr().out)
        usual = explain(1e-4, "torch.SGD", run=Run(**{fact: number})).as_dict()
        assert printed == json.loads(json.dumps(usual)), fact


def test_a_count_is_whole():
    """What is no whole number counts no examples; one of many digits stays exact."""
    for text in ("0.3M5", "1,5", "1.5", "10%", "1/3", "inf", "nan", "fast"):
        with pytest.raises(RangeError) as raised:
            Run(batch_size=text)
        assert (raised.value.must, raised.value.value) == ("a whole number", repr(text))
    assert whole_of("parameters", 2**60 + 1) == 2**60 + 1


def test_a_time_that_no_float_holds_is_refused():
    """Digits beyond all floats are a slip; who means never writes inf."""
    with pytest.raises(RangeError) as raised:
        HalfLife.parse("1e400 steps")
    assert raised.value.name == "half_life"
    assert HalfLife.parse("inf steps").value == math.inf


def test_lists_of_numbers_may_be_text():
    """Betas and units are read as the command line has them."""
    run = Run(betas="0.9,0.95", units="784,256,10")
    assert (run.betas, run.units) == ((0.9, 0.95), (784, 256, 10))
    for fact, text in (("betas", "0.9,x"), ("units", "784,2.5,10")):
        with pytest.raises(RangeError) as raised:
            Run(**{fact: text})
        assert (raised.value.name, raised.value.value) == (fact, repr(text))


READ = [
    (5e-4, "torch.SGD", "torch.optim.SGD", 5e-4),
    ("1e-3", "torch.SGD", "torch.optim.SGD", 1e-3),
    (" 0 ", "torch.SGD", "torch.optim.SGD", 0.0),
    ("1/32768", "torch.SGD", "torch.optim.SGD", 2.0**-15),
    ("0.1%", "torch.AdamW", "torch.optim.AdamW", 1e-3),
    ("2**-15", "torch.AdamW", "torch.optim.AdamW", 2.0**-15),
    ("50k", "half-life:steps", "half-life:steps", 50_000.0),
    ("1/4", "half-life:run", "half-life:run", 0.25),
    (Decimal("0.1"), "torch.AdamW", "torch.optim.AdamW", 0.1),
    (2, "torch.AdamW", "torch.optim.AdamW", 2.0),
    ("0.1%", "shrink", "shrink", 1e-3),
    ("3 epochs", "half-life", "half-life:epochs", 3.0),
    ("2e9 tokens", "half-life", "half-life:tokens", 2e9),
    ("20% of the run", "half-life", "half-life:run", 0.2),
    (HalfLife(7, "steps"), "half-life", "half-life:steps", 7.0),
    ("500", "half-life:steps", "half-life:steps", 500.0),
    ("5e2", "half-life:steps", "half-life:steps", 500.0),
    (500, "half-life:steps", "half-life:steps", 500.0),
    ("500 steps", "half-life:steps", "half-life:steps", 500.0),
    ("inf", "half-life:steps", "half-life:steps", math.inf),
]


def test_what_is_typed_is_read():
    """Numbers, texts, percentages and times become a number of the knob."""
    settings = [(value, knob, read_setting(value, knob)) for value, knob, *_ in READ]
    found = [(value, knob, it.knob.name, it.number) for value, knob, it in settings]
    assert found == READ


# What is typed, where, and the range in the error.
WRONG = {
    "a number": [
        ("abc", "torch.SGD"),
        ("", "torch.SGD"),
        (None, "torch.SGD"),
        (True, "torch.SGD"),
        ("10 %%", "torch.SGD"),
        (HalfLife(3, "epochs"), "torch.SGD"),
        ("nan", "torch.AdamW"),
    ],
    "a finite number": [(10**400, "torch.AdamW")],
    "a finite number, 0 or more": [
        (-1e-3, "torch.SGD"),
        (math.nan, "torch.AdamW"),
        ("inf", "torch.AdamW"),
    ],
    "a finite number above 0": [
        (0, "gaussian-prior.sigma"),
        (-1, "LogisticRegression"),
        (math.inf, "neal1996.omega"),
    ],
    "a fraction of the weight in [0, 1)": [(1, "shrink"), ("150%", "shrink")],
    "a time with its clock": [(3, "half-life"), ("3", "half-life")],
    "above 0": [
        (0, "half-life:steps"),
        ("-2 epochs", "half-life"),
        (math.nan, "half-life:steps"),
    ],
    "in steps": [("3 epochs", "half-life:steps")],
}


def test_what_cannot_be_is_refused():
    """A value that a knob cannot take is refused with what it must be."""
    for must, settings in WRONG.items():
        for value, knob in settings:
            with pytest.raises(RangeError) as raised:
                read_setting(value, knob)
            assert raised.value.must == must, (value, knob)
    with pytest.raises(UnknownNameError) as unknown:
        read_setting("3 fortnights", "half-life")
    assert (unknown.value.kind, unknown.value.name) == ("clock", "fortnights")


def test_a_bare_half_life_gets_a_clock():
    """As a target, a half-life takes epochs where an epoch is known, else steps."""
    assert target_knob("half-life", Run()).clock == "steps"
    assert target_knob("half-life", Run(batch_size=2)).clock == "steps"
    assert target_knob("half-life", Run(batch_size=2, dataset_size=9)).clock == "epochs"
    assert target_knob("half-life:tokens", Run()).clock == "tokens"
