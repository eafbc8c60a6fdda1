"""The certification kit: it measures, it reports, and above all it can fail."""

import json
import math
from functools import partial
from io import StringIO

import pytest
import torch
from pytorch import planted_optimizers
from rich.console import Console
from tolerance import digits

from dwindle.errors import CertificationError
from dwindle.pytorch import DecayController
from dwindle.testing import Certificate, Check, Reach, certify, check_controller
from dwindle.testing.kit import SCENARIOS, play
from dwindle.testing.training import Subject

# Enough for a reach: in bfloat16 a good one, one in its dead zone, and one between
# powers of two, where rounding is at its worst.
FEW = {torch.bfloat16: (2, 16, 170, 256), torch.float32: (10_000,)}


@pytest.fixture(scope="module")
def certificate():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dwindle.testing.kit.TRIED", FEW)
        patch.setattr("dwindle.testing.scenarios._RESUMED_STEPS", 4)
        return check_controller(torch.optim.AdamW)


def test_a_certificate_has_every_scenario(certificate):
    """AdamW plays every scenario in each format and passes; numbers are measured."""
    played = {(check.scenario, check.dtype) for check in certificate.checks}
    assert played == {
        (name, str(dtype).removeprefix("torch."))
        for name, scenario in SCENARIOS.items()
        for dtype in scenario.dtypes
    }
    assert (certificate.certified, certificate.mechanism) == (True, "native")
    assert not certificate.left_out
    errors = [each.error for each in certificate.checks if each.dtype == "float32"]
    assert 0 < max(errors) <= 1e-6
    assert certificate.worst.error > 0


def test_a_certificate_shows_what_formats_allow(certificate):
    """bfloat16 holds a few steps well, its dead zone not at all, as predicted."""
    assert certificate.reachable("bfloat16", error=0.02) == 16
    assert certificate.reachable("float32", error=1e-4) == 10_000
    narrow = [each for each in certificate.reach if each.dtype == "bfloat16"]
    assert [bool(each.refused) for each in narrow] == [False, False, False, True]
    assert max(each.error for each in narrow[:3]) > 0.2  # up to 28 %
    for each in narrow[:3]:  # the promise of the sum is one percent
        assert each.measured_steps == digits(each.rounded_steps, rel=0.01)


def test_a_certificate_prints(certificate):
    """The table names the verdict, each scenario, and what the formats allow."""
    page = StringIO()
    Console(file=page, width=110).print(certificate)
    for text in (page.getvalue(), str(certificate)):
        assert "AdamW: certified, held" in text
        assert all(name in text for name in SCENARIOS)
        assert "bfloat16" in text


def test_a_number_that_is_none_fails(certificate):
    """NaN passes no tolerance and is null in JSON; without checks nothing is proved."""
    failed = Check(
        scenario="s", dtype="float32", quantity="q", measured=math.nan, asked=1.0,
        error=math.nan, tolerance=1e300, why="w",
    )  # fmt: skip
    broken = Certificate(optimizer="o", mechanism="native", checks=(failed,))
    again = json.loads(json.dumps(certificate.as_dict(), allow_nan=False))
    assert again["certified"] is True
    assert len(again["checks"]) == len(certificate.checks)
    plain = json.loads(json.dumps(broken.as_dict(), allow_nan=False))
    assert plain["checks"][0]["measured"] is None
    assert plain["certified"] is False
    assert broken.worst is failed
    assert not Certificate(optimizer="o", mechanism="native").certified


def test_reachable_stops_at_the_first_that_is_not():
    """A longer half-life that happens to hold does not hide one that did not."""
    tried = [(2, 2.0), (4, 4.2), (8, 8.0)]
    reach = tuple(
        Reach(dtype="bfloat16", asked_steps=steps, measured_steps=measured)
        for steps, measured in tried
    )
    certificate = Certificate(optimizer="o", reach=reach)
    assert certificate.reachable("bfloat16", error=0.01) == 2
    assert certificate.reachable("bfloat16", error=0.1) == 8
    assert certificate.reachable("float32", error=0.1) is None


# What its copy did, in the reason: these faults are refused each for its own.
REFUSED = {
    "DecaysSecretly": "At weight_decay=0 a step takes 0.001 of it off",
    "KeepsMasters": "0.97 of it is left",
    "DividesByZero": "nan of it is left",
    "SyncsEverySixSteps": "0.693963289 of it is left",
    "RebuildsFromStart": "0.97 of it is left",
    "RebuildsWhatIsDriven": "writes weights anew from where they started",
    "CannotStep": "Alone it fails: RuntimeError: this one never steps",
}
# Scenario, format and quantity of a check that fails, and what is measured there, to
# four digits: nothing in it is random.
FAILED = {
    "DecaysSecretlyLater": ("constant lr", "float64", "e-folds", 2.7966),
    "DecaysWithoutGradient":
        ("gradients that are None", "float32", "unlike weights", 16),
    "DecaysLaterWhatIsDriven":
        ("driven, opposite weights", "float32", "e-folds", 0.6065),
    "IgnoresItsKnobLater": ("constant lr", "float64", "e-folds", 1.7329),
}  # fmt: skip


def test_what_is_refused_has_its_reason_and_no_numbers():
    """Every planted fault that a copy shows is refused at the start."""
    found = {name: certify(getattr(planted_optimizers, name)) for name in REFUSED}
    assert all(each.refused and not each.checks for each in found.values())
    assert not any(each.certified for each in found.values())
    assert all(": refused. " in str(each) for each in found.values())
    reasons = {name: each.refused for name, each in found.items()}
    assert [name for name in REFUSED if REFUSED[name] not in reasons[name]] == []


@pytest.mark.usefixtures("short")
def test_a_planted_fault_that_shows_later_is_measured():
    """It gets no certificate: a number is too far off."""
    for name, (scenario, dtype, quantity, measured) in FAILED.items():
        faulty = getattr(planted_optimizers, name)
        played = play(scenario, Subject(factory=faulty, dtype=getattr(torch, dtype)))
        found = [
            each.measured
            for each in played
            if isinstance(each, Check) and each.quantity == quantity and not each.passed
        ]
        assert any(math.isclose(each, measured, rel_tol=5e-5) for each in found), name
    assert not certify(planted_optimizers.DecaysSecretlyLater).certified


def test_an_error_lists_what_failed():
    """check_controller raises it; what ends in a period itself gets no second one."""
    with pytest.raises(CertificationError) as raised:
        check_controller(planted_optimizers.DecaysSecretly)
    (failure,) = raised.value.failures
    assert failure.startswith("refused: ")
    assert ".. " not in str(raised.value)


@pytest.mark.usefixtures("short")
def test_a_knob_that_does_nothing_does_not_matter():
    """Where it is ignored the weights are multiplied; no number of ours is drawn."""
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    certificate = check_controller(planted_optimizers.IgnoresItsKnob)
    assert certificate.mechanism == "multiply"
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.usefixtures("short")
def test_a_skipped_rest_is_certified():
    """What skips a step of zero gradients has its decay held in steps that it makes."""
    held = check_controller(planted_optimizers.SkipsRest)
    assert held.mechanism == "native"
    found = check_controller(planted_optimizers.FindsItsLr)
    assert found.mechanism == "multiply"
    whys = {each.scenario: each.why for each in found.left_out}
    assert whys["undecayed group, driven"].startswith("by itself")


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("name", "mechanism"),
    [("DecoupledMasters", "native"), ("CoupledMasters", "multiply")],
)
def test_float32_copies_of_16_bit_weights(name, mechanism, monkeypatch):
    """Its own knob reaches the copies; a multiplication is refused in 16 bits."""
    monkeypatch.setattr("dwindle.testing.kit.TRIED", FEW)
    held = certify(getattr(planted_optimizers, name))
    assert held.certified
    assert held.mechanism == mechanism
    narrow = [each for each in held.reach if each.dtype == "bfloat16"]
    if mechanism == "native":
        # Rounded once, not at every step: 2^-9 of a weight, over 1,024 of them.
        assert max(each.error for each in narrow) < 0.01
    else:
        assert all("writes float32 copies" in each.refused for each in narrow)
        assert any(each.dtype == "bfloat16" for each in held.left_out)


@pytest.mark.usefixtures("short")
def test_float32_inside_is_certified_as_float32():
    """Where the optimizer rounds to float32, float64 is listed as left out."""
    certificate = check_controller(planted_optimizers.ComputesInFloat32)
    assert {check.dtype for check in certificate.checks} == {"float32", "bfloat16"}
    (left_out,) = certificate.left_out
    assert left_out.dtype == "float64"
    assert "computes in float32" in left_out.why


def _weights(optimizer):
    return [each for group in optimizer.param_groups for each in group["params"]]


def _fill(optimizer, *_):
    for weight in _weights(optimizer):
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)


@torch.no_grad()
def _nudge(optimizer, *_):
    for weight in _weights(optimizer):
        weight.mul_(1 + 2e-7)


def _nudge_if_skipped(optimizer, *_):
    if getattr(optimizer, "found_inf", None):
        _nudge(optimizer)


def _enlarge(optimizer, *_):
    for weight in _weights(optimizer):
        weight.grad.add_(0.1)


@torch.no_grad()
def _restore(optimizer, *_):
    for weight in _weights(optimizer):
        if weight.grad is not None and weight.grad.any():
            weight.mul_(2 ** (1 / 16))


def _largest_lr(optimizer):
    return max(float(g.get("initial_lr", g["lr"])) for g in optimizer.param_groups)


def _unmark(optimizer, _):
    for group in optimizer.param_groups:
        group.pop("decay_scale", None)
    return {}


def _mutant(change=lambda _, __: {}, *, pre=None, post=None, **members):
    """A controller with other options than were given, more hooks or members."""

    def init(self, optimizer, **given):
        DecayController.__init__(self, optimizer, **given | change(optimizer, given))
        if pre is not None:
            optimizer.register_step_pre_hook(pre)
        if post is not None:
            optimizer.register_step_post_hook(post)

    return type("Mutant", (DecayController,), {"__init__": init, **members})


CONSTANT = _mutant(lambda _, __: {"schedule": "constant"})
FOLLOWING = _mutant(lambda _, __: {"schedule": "follow-lr"})
FIRST_LR = _mutant(lambda _, __: {"lr_peak": 1e-3 / 8})  # one of a warm-up
ONE_PEAK = _mutant(lambda optimizer, _: {"lr_peak": _largest_lr(optimizer)})
ONE_PASS = _mutant(lambda _, given: {"batch_size": (given.get("batch_size") or 4) // 4})
TWICE = _mutant(
    lambda _, given: {"half_life": f"{2 * int(given['half_life'].split()[0])} steps"}
)
# Each scenario, and controllers with a mistake that it must show.
MUTANTS = {
    "constant lr": _mutant(post=_nudge),
    "cosine, follow-lr": CONSTANT,
    "warm-up from lr 0, follow-lr": CONSTANT,
    "warm-up from lr 0, constant": FOLLOWING,
    "lr ÷10 and ×10, constant": FOLLOWING,
    "cosine, lr-squared": FOLLOWING,
    "warm-up set by hand, follow-lr": FIRST_LR,
    "a lr per group, follow-lr": ONE_PEAK,
    "a decay scale per group": _mutant(_unmark),
    "undecayed group": _mutant(post=_nudge),
    "undecayed group, driven": _mutant(_unmark),
    "gradients that are None": _mutant(pre=_fill),
    "gradient accumulation": ONE_PASS,
    "the batch size changes": _mutant(
        batch_size=property(lambda _: 32, lambda *_: None)
    ),
    "steps that GradScaler skips": _mutant(post=_nudge_if_skipped),
    "driven, against decay by hand": _mutant(pre=_enlarge),
    "driven, opposite weights": _mutant(post=_restore),
    "resumed at every step": _mutant(load_state_dict=lambda *_: None),
    "a half-life in bfloat16": TWICE,
}.items()
MUTANTS = [*MUTANTS, ("undecayed group", _mutant(_unmark))]
assert {scenario for scenario, _ in MUTANTS} == set(SCENARIOS)  # each can fail


@pytest.mark.parametrize(("scenario", "mutant"), MUTANTS)
def test_a_wrong_controller_is_noticed(scenario, mutant, monkeypatch):
    """A mistake of the controller fails the scenario that is there for it."""
    subject = Subject(
        factory=partial(torch.optim.AdamW, fused=True), dtype=torch.float32
    )
    monkeypatch.setattr("dwindle.testing.training.DecayController", mutant)
    checks = [*play(scenario, subject)]
    assert not all(check.passed for check in checks)
    # It was measured: none of them merely raised.
    assert not any(check.quantity == "it runs" for check in checks)
