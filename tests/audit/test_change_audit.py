"""A change: what moved, and the number that keeps what it is advised to keep."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import digits

from dwindle.audit.change import audit_change, audit_of_facts, compare_audits
from dwindle.audit.findings import GroupLine
from dwindle.audit.outcome import Audit
from dwindle.decay.explain import explain
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import RangeError, UnknownNameError

SMALL = Run(lr=3e-4, batch_size=256, dataset_size=100_000, epochs=30)
LARGE = Run(lr=8e-4, batch_size=2048, dataset_size=100_000, epochs=30)


def found(audit, code):
    """The one finding with a code."""
    (one,) = [each for each in audit.findings if each.code == code]
    return one


def test_what_moved_and_what_keeps_it():
    """The change, both half-lives on the data's clock, and the number to write."""
    moved = found(audit_change(0.1, "torch.AdamW", before=SMALL, after=LARGE), "DW030")
    changes = (("batch", "256", "2048"), ("lr", "0.0003", "0.0008"))
    assert moved.values["changes"] == changes
    # ln 2 over lr·λ, in epochs of ⌈100,000/batch⌉ steps.
    assert moved.values["then"] == digits(math.log(2) / 3e-5 / 391, rel=1e-4)
    assert moved.values["now"] == digits(math.log(2) / 8e-5 / 49, rel=1e-4)
    assert moved.values["clock"] == "epochs"
    assert moved.values["number"] == digits(0.2992, rel=1e-4)
    assert moved.line.startswith("weight_decay=0.299 ")


def test_where_momentum_cannot_decay_as_fast_there_is_no_line():
    """No number keeps the half-life, which the finding has as a value."""
    before = Run(lr=0.1, batch_size=8, dataset_size=8000)
    after = Run(lr=0.1, batch_size=800, dataset_size=8000, momentum=0.9)
    moved = found(audit_change(1e-2, "torch.SGD", before=before, after=after), "DW030")
    assert (moved.values["unkept"], moved.line) == ("the half-life", "")


@settings(max_examples=25)  # each takes some ten times as long as one of others
@given(
    # So slow a decay that no batch and no momentum of these make it impossible.
    lrs=st.tuples(*[st.floats(1e-5, 1e-3)] * 2),
    batches=st.tuples(*[st.sampled_from([16, 100, 256, 2048])] * 2),
    decay=st.floats(1e-4, 1e-2),
    momenta=st.tuples(*[st.sampled_from([0.0, 0.5, 0.9])] * 2),
    knob=st.sampled_from(["torch.AdamW", "torch.SGD", "optax.adafactor"]),
)
def test_the_number_keeps_the_half_life(lrs, batches, decay, momenta, knob):
    """With the number of the finding the half-life in epochs is that of before."""
    before, after = (
        Run(lr=lr, batch_size=batch, dataset_size=50_000, momentum=momentum)
        for lr, batch, momentum in zip(lrs, batches, momenta, strict=True)
    )
    audit = audit_change(decay, knob, before=before, after=after)
    then = explain(decay, knob, run=before).half_life["epochs"]
    for each in audit.findings:
        if each.code == "DW030":
            number = each.values["number"]
            kept = explain(number, knob, run=after).half_life["epochs"]
            assert kept == digits(then, rel=1e-9)
    moved = explain(decay, knob, run=after).half_life["epochs"]
    is_found = any(each.code == "DW030" for each in audit.findings)
    assert is_found is (abs(moved - then) > 0.05 * max(moved, then))


def test_a_move_of_less_than_a_twentieth_is_nothing_found():
    """The same run twice, and lr with batch, give no finding: 3 % of lr is rounding."""
    twice = Run(lr=6e-4, batch_size=512, dataset_size=100_000, epochs=30)
    little, more = (replace(SMALL, lr=lr) for lr in (3.1e-4, 3.2e-4))
    for after, count in ((SMALL, 0), (twice, 0), (little, 0), (more, 2)):
        audit = audit_change(0.1, "torch.AdamW", before=SMALL, after=after)
        assert len(audit.findings) == count, after


def test_a_coupled_decay_keeps_its_penalty():
    """Under SGD the half-life moves with the lr, and the penalty with nothing."""
    audit = audit_change(
        5e-4, "torch.SGD", before=Run(lr=0.1, steps=100), after=Run(lr=0.2, steps=100)
    )
    moved = found(audit, "DW030")
    assert moved.values["number"] == digits(0.00025, rel=1e-4)
    assert moved.values["leave"] == 0.0005
    assert [each.code for each in audit.findings] == ["DW030", "DW031"]


def test_a_penalty_that_moves_is_found():
    """scikit-learn divides alpha by the minibatch: eight times that, alpha times 8."""
    before = Run(lr=0.1, batch_size=100, dataset_size=10_000, epochs=10)
    after = Run(lr=0.1, batch_size=800, dataset_size=10_000, epochs=10)
    knob = "sklearn.neural_network.MLPClassifier:sgd"
    moved = found(audit_change(1e-4, knob, before=before, after=after), "DW032")
    assert moved.line.startswith("alpha=0.0008 ")
    assert moved.values["then"] == digits(1e-6, rel=1e-9)
    assert moved.values["now"] == digits(1.25e-7, rel=1e-9)


def test_a_longer_run_leaves_less():
    """With the run's length the e-folds move: a note, with the number for the share."""
    after = Run(lr=3e-4, batch_size=256, dataset_size=100_000, epochs=60)
    audit = audit_change(0.1, "torch.AdamW", before=SMALL, after=after)
    assert [each.code for each in audit.findings] == ["DW031"]
    assert audit.findings[0].line.startswith("weight_decay=0.05 ")
    assert audit.exit_code == 0


def test_another_kind_of_decay_is_found():
    """From SGD to AdamW the number means another thing; the nearest is given.

    Into coupled Adam nothing is kept: the reason, and DW008 as a new finding.
    """
    before, after = Run(lr=0.1, momentum=0.9), Run(lr=1e-3)
    new = (0.1, "torch.AdamW")
    audit = audit_change(
        5e-4, "torch.SGD", before=before, after=after, setting_after=new
    )
    other = found(audit, "DW033")
    assert other.values["family_before"] == "coupled-sgd"
    # The slow root, to first order: with a = lr·λ, a/(1 − μ)·(1 + a·μ/(1 − μ)²).
    kept = 5e-5 / 0.1 * (1 + 5e-5 * 0.9 / 0.01) / 1e-3
    assert other.values["number"] == digits(kept, rel=1e-3)
    assert audit.target == "torch.optim.SGD=0.0005 → torch.optim.AdamW=0.1"
    new = (0.1, "torch.Adam")
    audit = audit_change(
        0.1, "torch.AdamW", before=after, after=after, setting_after=new
    )
    assert {each.code for each in audit.findings} == {"DW008", "DW033"}
    assert found(audit, "DW033").line == ""
    assert "AdamW" in found(audit, "DW033").values["instead"]


def test_what_was_wrong_before_is_left_out():
    """Only findings that the change brought, or made worse, are kept."""
    run = Run(lr=1e-4, batch_size=32, dataset_size=10_000, epochs=3)
    longer = Run(lr=1e-4, batch_size=32, dataset_size=10_000, epochs=6)
    audit = audit_change(0.1, "torch.AdamW", before=run, after=longer)
    assert [each.code for each in audit.findings] == ["DW031"]
    assert audit.in_both == ("DW010",)
    fresh = audit_change(
        0.1, "torch.AdamW", before=run, after=Run(lr=1e-4, dtype="bfloat16")
    )
    assert "DW009" in [each.code for each in fresh.findings]
    # A half-life of 13.9 runs is a note, one of 6.9 runs a warning: that is new.
    short, long = Run(lr=1e-3, steps=500), Run(lr=1e-3, steps=1000)
    worse = audit_change(0.1, "torch.AdamW", before=short, after=long)
    assert (found(worse, "DW010").severity, worse.in_both) == ("warning", ())


def test_facts_that_move_are_shown_old_and_new():
    """The header has both sides of a fact that moved, and one of one that stayed."""
    old = {"batch": "128", "epochs": "3", "warm-up": "5%"}
    new = {"batch": "256", "epochs": "3", "examples": "9"}
    before, after = (Audit(target="t", facts=facts) for facts in (old, new))
    assert compare_audits(before, after).facts == {
        "batch": "128 → 256",
        "epochs": "3",
        "examples": "? → 9",
        "warm-up": "5% → ?",
    }


def line_of(group, *, knob="torch.optim.AdamW", decay=0.1, numbers=10, lr=1e-3):
    """A row as the audit of a program gives it."""
    run = None if lr is None else Run(lr=lr)
    return GroupLine(
        group=group, knob=knob, weight_decay=decay, numbers=numbers, lr=lr, run=run
    )


def test_groups_are_compared_one_by_one():
    """Each decaying group has its finding; those that do not decay have none."""
    before, after = (
        Audit(target=target, table=(line_of("0"), line_of("1", decay=0), last))
        for target, last in (
            ("a:b", line_of("2", lr=1e-4)),
            ("a:c", line_of("2", lr=4e-4)),
        )
    )
    (moved,) = compare_audits(before, after).findings
    assert (moved.code, moved.where) == ("DW030", "group 2")
    groups = [line.group for line in compare_audits(before, after).table]
    assert groups == [f"{side} {n}" for side in ("before", "after") for n in range(3)]


def test_what_is_not_compared_is_named():
    """The largest groups, where their number differs; none without a known knob."""
    before = Audit(target="a:b", table=(line_of("0", numbers=5), line_of("1")))
    after = Audit(target="a:c", table=(line_of("0", decay=0.4),))
    audit = compare_audits(before, after)
    assert found(audit, "DW030").where == "group 0"
    assert len(audit.unchecked) == 1
    unknown = Audit(target="a:b", table=(line_of("0"), line_of("1", knob=None)))
    assert len(compare_audits(unknown, unknown).unchecked) == 1


def test_facts_that_change_move_every_group():
    """An lr before:after multiplies the lr of each group; other facts are set."""
    audit = Audit(target="a:b", table=(line_of("0", lr=1e-3), line_of("1", lr=1e-4)))
    moved = audit_of_facts(
        audit, Run(lr=3e-4, batch_size=8), Run(lr=6e-4, batch_size=16)
    )
    assert [line.lr for line in moved.table] == [1e-3, 1e-4, 2e-3, 2e-4]
    assert moved.table[-1].run.batch_size == 16
    schedule = Schedule(shape="cosine")
    same = audit_of_facts(audit, Run(lr=1), Run(lr=1, schedule=schedule))
    assert same.table[-1].run.schedule == schedule


def test_errors_of_a_change_teach():
    """Unknown knobs and impossible numbers are refused on either side."""
    sides = {"before": SMALL, "after": LARGE}
    with pytest.raises(UnknownNameError) as raised:
        audit_change(0.1, "torch.Adamv", **sides)
    assert "torch.optim.AdamW" in raised.value.nearest
    with pytest.raises(RangeError) as raised:
        audit_change(0.1, "torch.AdamW", setting_after=(-1, "torch.AdamW"), **sides)
    assert raised.value.value == -1
