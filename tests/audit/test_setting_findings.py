"""One setting, judged: planted faults are found, sound settings give nothing."""

import math

import pytest
from tolerance import digits

from dwindle.audit.findings import number_line
from dwindle.audit.setting_findings import findings_of_setting, judge, line_of_setting
from dwindle.decay.explain import explain
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import RangeError, UnknownNameError

COSINE = Schedule(shape="cosine")
TO_A_TENTH = Schedule(shape="cosine", final=0.1)
DATA = {"batch_size": 100, "dataset_size": 10_000, "epochs": 30}
IMAGENET = {"batch_size": 1024, "dataset_size": 1_281_167, "epochs": 300}
CIFAR = {"batch_size": 128, "dataset_size": 50_000, "epochs": 200}
ADAMW, SGD, BF16 = "torch.AdamW", "torch.SGD", {"dtype": "bfloat16"}
FREE = "schedulefree.AdamWScheduleFree"
FAULTS = {
    "coupled adaptive": ("torch.Adam", 1e-4, Run(lr=1e-3, **DATA), "DW008"),
    "bfloat16": (ADAMW, 0.1, Run(lr=5e-3, **BF16, **DATA), "DW009"),
    "stalls in bfloat16": (ADAMW, 0.6, Run(lr=5e-3, **BF16, steps=5000), "DW009"),
    "longer than the run": (ADAMW, 0.01, Run(lr=1e-2, **DATA), "DW010"),
    "shorter than an epoch": (ADAMW, 5.0, Run(lr=1e-2, **DATA), "DW011"),
    "oscillation": (SGD, 0.1, Run(lr=0.1, momentum=0.9, steps=1000), "DW012"),
    "hidden": ("torch.ASGD", 0, Run(lr=0.1, **DATA), "DW013"),
    "rounding": (ADAMW, 0.01, Run(lr=1e-5), "DW023"),
    "flips": (ADAMW, 2e3, Run(lr=1e-3), "DW024"),
    "layer-wise trust": ("timm.lamb", 0.1, Run(lr=1e-3, **DATA), "DW025"),
    "schedule-free": (FREE, 0.1, Run(lr=1e-3, **DATA), "DW025"),
    "constant under a cosine": (
        "optax.adafactor", 1e-3, Run(lr=1e-3, schedule=COSINE, **DATA), "DW026"
    ),
}  # fmt: skip
SOUND = {
    "DeiT": (ADAMW, 0.05, Run(lr=1e-3, schedule=COSINE, **IMAGENET)),
    "CIFAR": (SGD, 5e-4, Run(lr=0.1, momentum=0.9, schedule=COSINE, **CIFAR)),
    "nanoGPT": (ADAMW, 0.1, Run(lr=6e-4, steps=600_000, schedule=TO_A_TENTH)),
    "no decay": (ADAMW, 0, Run(lr=1e-3, **DATA)),
    "no decay, coupled": ("torch.Adam", 0, Run(lr=1e-3, **DATA)),
    "nothing known": (ADAMW, 0.1, Run()),
    # Too many steps to follow.
    "a run that is too long": (ADAMW, 0.1, Run(lr=1e-3, steps=10**8)),
}


def test_a_planted_fault_is_found_and_nothing_else():
    """Each fault of size or kind gives its code and no other."""
    wrong = {}
    for name, (knob, value, run, code) in FAULTS.items():
        found = findings_of_setting(knob, value, run, where="group 3")
        assert all(each.evidence and each.where == "group 3" for each in found)
        if [each.code for each in found] != [code]:
            wrong[name] = found
    assert wrong == {}


def test_a_sound_setting_gives_nothing():
    """Recipes that people use, and settings that do not decay, give no finding."""
    found = {name: findings_of_setting(*setting) for name, setting in SOUND.items()}
    assert not any(found.values()), found


def test_the_line_mends_what_was_found():
    """With the number of the finding, and with that of the line, it is gone."""
    for code, knob, value, run in (
        ("DW010", ADAMW, 0.01, Run(lr=1e-2, **DATA)),
        ("DW011", ADAMW, 5.0, Run(lr=1e-2, **DATA)),
        ("DW011", SGD, 0.1, Run(lr=1e-2, momentum=0.9, **DATA)),
    ):
        (found,) = findings_of_setting(knob, value, run)
        number = found.values["number"]
        assert (found.code, found.values["was"]) == (code, value)
        assert found.line == number_line("weight_decay", number, value).text
        for typed in (number, float(f"{number:.3g}")):
            assert findings_of_setting(knob, typed, run) == (), (code, knob)


def test_what_was_seen_is_in_the_values():
    """Half-lives, shrinks and limits: the numbers, and not only sentences."""
    dead = FAULTS["bfloat16"][:3]
    (found,) = findings_of_setting(*dead)
    # Half a unit in the last place below 1: bfloat16 has eight digits.
    assert found.values["dead"] == 2.0**-9
    assert found.values["shrink"] == digits(5e-4, rel=1e-12)
    (found,) = findings_of_setting(*FAULTS["longer than the run"][:3])
    assert found.values["runs"] == digits(math.log(2) / 1e-4 / 3000, rel=1e-4)
    (found,) = findings_of_setting(*FAULTS["oscillation"][:3])
    # (1 - √μ)²/lr, where the roots of SGD's recurrence meet.
    assert found.values["limit"] == digits((1 - 0.9**0.5) ** 2 / 0.1, rel=1e-9)


def test_the_line_has_the_name_of_the_knob():
    """A line for scikit-learn has alpha, its name there."""
    knob = "sklearn.neural_network.MLPClassifier:sgd"
    run = Run(lr=0.1, momentum=0.0, **DATA)
    (found,) = findings_of_setting(knob, 50, run)
    assert found.line.startswith("alpha=")


def test_a_half_life_of_some_runs_is_a_warning_of_many_a_note():
    """Its 6,931 steps are a warning up to ten times the run; beyond it one writes 0."""
    for steps, severity in {6000: "warning", 700: "warning", 690: "note"}.items():
        (found,) = findings_of_setting(ADAMW, 0.1, Run(lr=1e-3, steps=steps))
        assert (found.code, found.severity) == ("DW010", severity), steps
        assert (found.case == "zero") is (severity == "note")
        assert found.line.startswith("weight_decay=0.0 ") is (severity == "note")


def test_what_was_not_checked_is_named():
    """A missing fact is named beside the codes that want it."""
    sizes = ["DW009", "DW010", "DW011"]
    for run, codes in (
        (Run(), sizes),
        (Run(lr=1e-3, steps=20_000), ["DW011"]),
        (Run(lr=1e-3, **DATA), []),
    ):
        unchecked = judge("torch.AdamW", 0.1, run).unchecked
        found = {code for each in unchecked for code in each.codes}
        assert sorted(found & set(sizes)) == codes


def test_the_row_of_the_table_is_the_explanation():
    """The table shows the numbers of dwindle explain."""
    run = Run(lr=1e-3, schedule=COSINE, **DATA)
    explanation = explain(0.1, "torch.AdamW", run=run)
    line = line_of_setting(explanation, run, group="0", parameters=3, numbers=30)
    assert line.half_life["epochs"] == digits(69.3, rel=1e-3)  # ln 2/1e-4 steps
    assert (line.lr, line.weight_decay, line.kept) == (1e-3, 0.1, explanation.kept)
    assert (line.knob, line.run, line.dtype) == ("torch.optim.AdamW", run, "float32")


def test_errors_of_a_setting_teach():
    """An unknown knob, or an impossible number, is refused by name."""
    with pytest.raises(UnknownNameError) as raised:
        findings_of_setting("torch.optim.AdamWW", 0.1, Run())
    assert "torch.optim.AdamW" in raised.value.nearest
    with pytest.raises(RangeError) as raised:
        findings_of_setting("torch.AdamW", -1, Run())
    assert raised.value.value == -1
