"""The peak lr that a half-life belongs to: given, read, or missing."""

import math
from types import SimpleNamespace

import pytest
import torch
from pytorch.held_path import TOLERANCES, Path, step_at_rest, weight_of, worst_off
from tolerance import digits
from torch.optim import AdamW, lr_scheduler

from dwindle.errors import MissingFactError, RefusedError
from dwindle.integrations.torch_loops import Paced
from dwindle.pytorch import DecayController
from dwindle.pytorch.holding.lr_peaks import peaks_read


def _peaks(optimizer, **facts):
    return [p and digits(p, rel=1e-12) for p in peaks_read(optimizer, **facts)]


def _adamw(lr=0.1):
    return AdamW([weight_of()], lr=lr)


def test_a_scheduler_is_followed_to_its_peak():
    """A LambdaLR that returns the lr itself, on a base of 1, peaks at its largest."""
    optimizer = _adamw(lr=1.0)
    ticking = lr_scheduler.LambdaLR(optimizer, lambda t: 3e-4 * min(t / 10, 1))
    run = {"epochs": 9, "batch_size": 10, "dataset_size": 100}
    held = DecayController(optimizer, half_life="3 epochs", scheduler=ticking, **run)
    weight = optimizer.param_groups[0]["params"][0]
    worst = worst_off(optimizer, weight, Path(30, "follow-lr", 3e-4), 60, ticking.step)
    assert held.lr_peak == (digits(3e-4, rel=1e-12),)
    assert worst <= TOLERANCES[torch.float64]
    assert ticking.last_epoch == 60  # it was read, not stepped


def _tenth(optimizer):
    return lr_scheduler.LambdaLR(optimizer, lambda _: 0.1)


def test_the_given_scheduler_comes_before_what_another_left():
    """A second stage on an optimizer whose groups still have OneCycleLR's max_lr."""
    optimizer = _adamw()
    lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=9)
    optimizer.param_groups[0]["lr"] = 1e-3
    second = lr_scheduler.CosineAnnealingLR(optimizer, 100)
    assert _peaks(optimizer, scheduler=second) == [1e-3]
    assert _peaks(optimizer, scheduler=second, steps=100) == [1e-3]
    # A plateau only lowers: from the lr of now as long as it has made no step.
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    assert _peaks(optimizer, scheduler=plateau) == [1e-3]
    for _ in range(3):
        plateau.step(1.0)
    assert optimizer.param_groups[0]["lr"] < 1e-3
    assert _peaks(optimizer, scheduler=plateau) == [0.1]  # of the run behind it


def _walked(make, steps, *, lr=0.1, every=1):
    """Make the loop: the largest lr that its steps really have."""
    optimizer = _adamw(lr)
    scheduler, largest = make(optimizer), 0.0
    for step in range(1, steps + 1):
        largest = max(largest, float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if step % every == 0:
            scheduler.step()
    return largest


def _noam(optimizer):
    return lr_scheduler.LambdaLR(
        optimizer, lambda t: 512**-0.5 * min((t + 1) ** -0.5, (t + 1) * 30**-1.5)
    )


def _chained(optimizer):
    growing = lr_scheduler.LinearLR(optimizer, 0.1, total_iters=8)
    return lr_scheduler.ChainedScheduler(
        [lr_scheduler.ExponentialLR(optimizer, 0.95), growing]
    )


def _in_sequence(optimizer):
    return _chain(optimizer, lr_scheduler.LambdaLR(optimizer, lambda t: 1 + t / 9))


FOLLOWED = {
    "noam": _noam,
    "inverse sqrt": lambda o: lr_scheduler.LambdaLR(o, lambda t: (t + 4) ** -0.5),
    "chained": _chained,
    "chain in a chain": lambda o: lr_scheduler.ChainedScheduler(
        [_chained(o), lr_scheduler.ExponentialLR(o, 0.99)]
    ),
    "sequence": _in_sequence,
    "rising": lambda o: lr_scheduler.LambdaLR(o, lambda t: 1e-3 * (t + 1)),
    "cyclic": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.5, 50, cycle_momentum=False),
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.3, total_steps=400),
    "growing": lambda o: lr_scheduler.MultiplicativeLR(o, lambda _: 1.1),
}


RUNS = [(steps, every, 0) for steps in (1, 6, 40) for every in (1, 7)] + [(40, 1, 35)]


@pytest.mark.parametrize("kind", FOLLOWED)
def test_the_peak_is_the_largest_lr_of_the_loop(kind):
    """Not one step more, nor less where it is past its peak in mid-run."""
    make = FOLLOWED[kind]
    for steps, every, done in RUNS:
        optimizer = _adamw(lr=1.0)
        scheduler = make(optimizer)
        for _ in range(done):
            optimizer.step()
            scheduler.step()
        now = optimizer.param_groups[0]["lr"]
        paced = scheduler if every == 1 else Paced(scheduler, every=every)
        found = _peaks(optimizer, scheduler=paced, steps=steps)
        assert found == [_walked(make, steps, lr=1.0, every=every)], (steps, every)
        assert optimizer.param_groups[0]["lr"] == now


def test_the_scheduler_of_another_optimizer_is_refused():
    """Its lr never moves this one's; a chain is searched."""
    mine, other = _adamw(), _adamw()
    chain = lr_scheduler.ChainedScheduler([lr_scheduler.StepLR(other, 5)])
    for scheduler in (lr_scheduler.StepLR(other, 5), chain):
        with pytest.raises(RefusedError, match="another AdamW"):
            DecayController(mine, half_life="9 steps", scheduler=scheduler, steps=9)


def test_timm_scales_the_lr_of_a_group():
    """timm's schedulers apply lr_scale, so the peak of such a group is lower."""
    groups = [{"params": [weight_of()], "lr_scale": 0.5}, {"params": [weight_of()]}]
    timm = SimpleNamespace(base_values=[0.1, 0.1], update_groups=None)
    assert _peaks(AdamW(groups), scheduler=timm) == [0.05, 0.1]


def test_an_lr_scale_without_its_scheduler_is_refused():
    """Nobody knows whether it will be applied; a peak that is given settles it."""
    groups = [{"params": [weight_of()], "lr_scale": 0.5}, {"params": [weight_of()]}]
    optimizer = AdamW(groups, lr=0.1)
    with pytest.raises(RefusedError, match=r"lr_scale of 0\.5"):
        DecayController(optimizer, half_life="30 steps")
    DecayController(optimizer, half_life="30 steps", schedule="constant").remove()
    held = DecayController(optimizer, half_life="30 steps", lr_peak=[0.05, 0.1])
    assert held.state_dict()["lr_peaks"] == [0.05, 0.1]


def test_an_lr_of_zero_shows_no_peak():
    """A warm-up by hand that begins at 0: the peak must be given."""
    with pytest.raises(MissingFactError) as raised:
        DecayController(_adamw(lr=0.0), half_life="30 steps")
    assert (raised.value.fact, raised.value.caller) == ("lr_peak", "DecayController")


def _lowered(optimizer):
    optimizer.param_groups[0]["lr"] = 1e-6


@pytest.mark.parametrize(
    ("meanwhile", "peak"),
    [(_lowered, 0.1), (lambda o: lr_scheduler.OneCycleLR(o, 0.3, total_steps=9), 0.3)],
    ids=["warm-up by hand", "one cycle"],
)
def test_what_comes_after_the_controller(meanwhile, peak):
    """Not the first lr that is seen, but a peak that a scheduler leaves in groups."""
    optimizer = _adamw()
    held = DecayController(optimizer, half_life="30 steps")
    meanwhile(optimizer)
    step_at_rest(optimizer, *optimizer.param_groups[0]["params"])
    assert held.state_dict()["lr_peaks"] == [peak]


def test_one_given_peak_is_that_of_later_groups_too():
    """A group that is added later has the peak that was given for all."""
    optimizer = _adamw()
    held = DecayController(optimizer, half_life="30 steps", lr_peak=0.5)
    optimizer.add_param_group({"params": [weight_of()], "lr": 0.01})
    optimizer.step()
    assert held.state_dict()["lr_peaks"] == [0.5, 0.5]


def _trained(optimizer, scheduler, steps):
    for _ in range(steps):
        step_at_rest(optimizer, *optimizer.param_groups[0]["params"])
        scheduler.step()


NOAM = 512**-0.5 * 30**-0.5  # its largest lr, at the end of a warm-up of 30 steps


@pytest.mark.parametrize("at", ["fall", "end", "state", "removal"])
def test_a_peak_that_is_never_reached_is_logged_once(at, logged):
    """Noam on lr=1: the half-life of 30 steps belongs to it; at .00807 it is 3,700."""
    optimizer = _adamw(lr=1.0)
    scheduler = _noam(optimizer)
    facts = {"steps": 100} if at == "end" else {}
    held = DecayController(optimizer, half_life="30 steps", **facts)
    _trained(optimizer, scheduler, 200 if at == "fall" else 99)
    assert bool(logged()) == (at == "fall")
    if at == "end":
        _trained(optimizer, scheduler, 1)
    if at == "state":
        held.state_dict()
    held.remove()
    held.state_dict()
    (message,) = logged()
    shrink = (1 - 0.5 ** (1 / 30)) * NOAM
    half_life = -math.log(2) / math.log1p(-shrink)
    assert f"0 is {NOAM:.3g}" in message
    assert f"{1 / NOAM:.0f} times" in message
    assert f"is {half_life:,.0f} steps" in message
    assert "lr_peak=" in message


@pytest.mark.parametrize(("by_epochs", "steps"), [(1, 200), (20, 200), (1, 10)])
def test_a_warm_up_is_a_missed_peak_only_where_the_run_ends_in_it(
    by_epochs, steps, logged
):
    """Checkpoints in the middle of it log nothing, nor does a run that reaches it."""
    optimizer = _adamw()
    growing = lr_scheduler.LinearLR(optimizer, 0.01, total_iters=100 // by_epochs)
    held = DecayController(optimizer, half_life="30 steps", steps=steps)
    for step in range(1, steps + 1):
        assert not logged()
        step_at_rest(optimizer, *optimizer.param_groups[0]["params"])
        if step % by_epochs == 0:
            growing.step()
        held.state_dict()
    held.remove()
    assert len(logged()) == (steps == 10)


def test_a_second_stage_with_the_controller_of_the_first_is_logged(logged):
    """A scheduler that is built in mid-run, for a tenth of the lr, is noticed."""
    optimizer = _adamw()
    first = lr_scheduler.CosineAnnealingLR(optimizer, 50)
    held = DecayController(optimizer, half_life="30 steps")
    _trained(optimizer, first, 50)
    assert not logged()
    del optimizer.param_groups[0]["initial_lr"]
    optimizer.param_groups[0]["lr"] = 0.01
    second = lr_scheduler.CosineAnnealingLR(optimizer, 50)
    _trained(optimizer, second, 20)
    (message,) = logged()
    assert "0 is 0.01" in message
    assert "lr_peak of" in message
    held.lr_peak = 0.01
    _trained(optimizer, second, 30)
    held.remove()
    assert len(logged()) == 1


def test_a_one_cycle_in_mid_run_is_known_by_its_top(logged):
    """It writes a 25th of its max_lr as initial_lr: that is where it begins."""
    optimizer = _adamw()
    held = DecayController(optimizer, half_life="30 steps", lr_peak=0.1)
    _trained(optimizer, lr_scheduler.ConstantLR(optimizer, 1.0), 2)
    cycle = lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=9)
    _trained(optimizer, cycle, 8)
    held.remove()
    assert not logged()


def test_one_peak_for_all_groups_is_reached_by_one_of_them(logged):
    """A list has one for each. None is missed by a decay that is alike at every lr."""
    constant, never = {"schedule": "constant"}, {"half_life": "inf steps"}
    for lr, options, count in (
        (0.1, {"lr_peak": 0.1}, 0),
        (1e-4, {"lr_peak": [0.1, 0.1]} | constant, 0),
        (1e-4, {"lr_peak": [0.1, 0.1]} | never, 0),
        (0.1, {"lr_peak": [0.1, 0.1]}, 1),
    ):
        groups = [{"params": [weight_of()]}, {"params": [weight_of()], "lr": 0.01}]
        optimizer = AdamW(groups, lr=lr)
        held = DecayController(optimizer, **{"half_life": "30 steps"} | options)
        step_at_rest(optimizer, *(g["params"][0] for g in groups), steps=4)
        held.remove()
        assert len(logged()) == count, options


class Custom(lr_scheduler.LRScheduler):
    """A custom class: it may go anywhere."""

    def get_lr(self):
        return [0.5] if self.last_epoch else [0.1]


class OwnStep(lr_scheduler.StepLR):
    """One that is made from torch's, and may go anywhere, too."""


def _chain(optimizer, second):
    parts = [lr_scheduler.LinearLR(optimizer), second]
    return lr_scheduler.SequentialLR(optimizer, parts, [5])


UNTOLD = {
    "LambdaLR": _tenth,
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda _: 1.1),
    "Custom": Custom,
    "OwnStep": lambda o: OwnStep(o, 5),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 5, gamma=1.5),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 9, eta_min=0.7),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.2, 0.5),
    "SequentialLR": lambda o: _chain(o, _tenth(o)),
}


def test_a_scheduler_that_may_go_anywhere_needs_the_length():
    """Nothing is taken for the peak that is not one; each of three answers will do."""
    for kind, make in UNTOLD.items():
        optimizer = _adamw()
        facts = {"half_life": "30 steps", "scheduler": make(optimizer)}
        with pytest.raises(MissingFactError) as raised:
            DecayController(optimizer, **facts)
        assert (raised.value.fact, raised.value.caller) == ("steps", "DecayController")
        assert kind in raised.value.needed_for
        for known in ({"steps": 9}, {"lr_peak": 0.1}, {"schedule": "constant"}):
            DecayController(optimizer, **facts, **known).remove()


PEAKS = [  # a scheduler on lr 0.1, the steps of the run, its peak
    (lambda o: lr_scheduler.CyclicLR(o, 0, 0.5, cycle_momentum=False), None, 0.5),
    (lambda o: lr_scheduler.OneCycleLR(o, 0.3, total_steps=9), None, 0.3),
    (lr_scheduler.ReduceLROnPlateau, 10, 0.1),
    (lambda o: SimpleNamespace(scheduler=_tenth(o)), 10, 0.01),
    # What goes no higher than its base needs no length, warmed up or not.
    (lambda o: lr_scheduler.StepLR(o, 5), None, 0.1),
    (lambda o: lr_scheduler.MultiStepLR(o, [5]), None, 0.1),
    (lambda o: lr_scheduler.ExponentialLR(o, 0.9), None, 0.1),
    (lambda o: lr_scheduler.CosineAnnealingLR(o, 9, eta_min=0.01), None, 0.1),
    (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 9), None, 0.1),
    (lr_scheduler.ConstantLR, None, 0.1),
    (lr_scheduler.LinearLR, None, 0.1),
    (lr_scheduler.PolynomialLR, None, 0.1),
    (lr_scheduler.ReduceLROnPlateau, None, 0.1),
    (lambda o: _chain(o, lr_scheduler.CosineAnnealingLR(o, 9)), None, 0.1),
    (lambda o: Paced(lr_scheduler.StepLR(o, 5), every=2), None, 0.1),
    (lambda o: SimpleNamespace(scheduler=lr_scheduler.StepLR(o, 5)), None, 0.1),
]


def test_the_peak_of_a_scheduler():
    """Each kind shows its peak in its own way, most of them without a length."""
    wrong = []
    for at, (make, steps, peak) in enumerate(PEAKS):
        optimizer = _adamw()
        found = _peaks(optimizer, scheduler=make(optimizer), steps=steps)
        if found != [peak]:
            wrong.append((at, found))
    assert wrong == []
