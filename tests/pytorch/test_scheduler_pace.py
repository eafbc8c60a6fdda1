"""A scheduler is followed at the pace of its loop: it leaves what the loop leaves."""

import math

import pytest
import torch
from pytorch.planted_programs import adamw, grouped, mlp, of
from pytorch.untouched import left_alone
from tolerance import digits
from torch import nn
from torch.optim import lr_scheduler

from dwindle.audit.change import audit_of_facts
from dwindle.decay.coordinates import survival_from_number
from dwindle.decay.knobs import KNOBS
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import RangeError
from dwindle.pytorch.audit import audit
from dwindle.pytorch.follow_schedule import all_inside
from dwindle.pytorch.probe import probe

# 391 steps in an epoch, 11,730 in all.
RUN = Run(batch_size=128, dataset_size=50_000, epochs=30)
# Every step of a scheduler is a separate loop here; short epochs do as well.
SHORT = Run(batch_size=10, dataset_size=200, epochs=30)
LR, DECAY = 1e-3, 0.1


def plain(lr=LR, **options):
    """An optimizer whose scheduler the loops below step, with one weight of 1."""
    weights = [nn.Parameter(torch.ones(1, dtype=torch.float64))]
    return torch.optim.AdamW(weights, lr=lr, weight_decay=DECAY, **options)


def kept_by_the_loop(build, run, *, every, lr=LR):
    """Multiply 1 - lr·decay over the lrs that a loop at this pace really has."""
    optimizer = plain(lr)
    scheduler = build(optimizer)
    lost = 0.0
    optimizer.step()
    for step in range(run.total_steps):
        if step and step % every == 0:
            scheduler.step()
        lost -= math.log1p(-optimizer.param_groups[0]["lr"] * DECAY)
    return math.exp(-lost)


def kept(build, run=RUN, *, lr=LR, **options):
    """Return the share of the run that an audit reports, and the audit."""
    model = mlp()
    optimizer = adamw(model, lr=lr, weight_decay=DECAY)
    scheduler = build(optimizer)
    before = [getattr(each, "last_epoch", 0) for each in all_inside(scheduler)]
    with left_alone(optimizer):
        found = audit(model, optimizer, scheduler=scheduler, run=run, **options)
    after = [getattr(each, "last_epoch", 0) for each in all_inside(scheduler)]
    assert after == before
    return found.table[0].kept, found


def sequence(optimizer, warmup, rest):
    parts = [
        lr_scheduler.LinearLR(optimizer, 0.1, total_iters=warmup),
        lr_scheduler.CosineAnnealingLR(optimizer, rest),
    ]
    return lr_scheduler.SequentialLR(optimizer, parts, [warmup])


PER_EPOCH = {
    "StepLR": lambda o: lr_scheduler.StepLR(o, 10, 0.1),
    "StepLR every epoch": lambda o: lr_scheduler.StepLR(o, 1, 0.7),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [15, 25], 0.2),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.95),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 30),
    "WarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 10),
    "WarmRestarts ×2": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 4, 2),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, LR, total_steps=30),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, 30, 0.9),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 1.0, 0.01, total_iters=30),
    "LinearLR, a warm-up": lambda o: lr_scheduler.LinearLR(o, 0.05, total_iters=5),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, 0.1, total_iters=5),
    "SequentialLR": lambda o: sequence(o, 5, 25),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o, 0.1, 4), lr_scheduler.ExponentialLR(o, 0.9)]
    ),
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
    "LambdaLR of a list": lambda o: lr_scheduler.LambdaLR(
        o, [1 - at / 40 for at in range(31)].__getitem__
    ),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda _: 0.9),
}
PER_STEP = {
    "StepLR": lambda o: lr_scheduler.StepLR(o, 200, 0.5),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [300, 450], 0.1),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 600),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, LR, total_steps=600),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(
        o, LR / 10, LR, step_size_up=150, cycle_momentum=False
    ),
    "WarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 200),
    "SequentialLR": lambda o: sequence(o, 20, 580),
    "LinearLR, a warm-up": lambda o: lr_scheduler.LinearLR(o, 0.05, total_iters=100),
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(
        o, lambda step: min(1, (step + 1) / 60) * (1 - step / 600)
    ),
}


@pytest.mark.parametrize("name", PER_EPOCH)
def test_a_plan_in_epochs_is_followed_in_epochs(name):
    """What is left is what a loop leaves that steps its scheduler after each epoch."""
    build = PER_EPOCH[name]
    there, found = kept(build, SHORT)
    assert there == digits(kept_by_the_loop(build, SHORT, every=20), rel=1e-12)
    assert found.facts["scheduler_every"] == "epoch (guessed)"
    assert any("per epoch, for" in text for text in found.unchecked)


@pytest.mark.parametrize("name", PER_STEP)
def test_a_plan_in_steps_is_followed_in_steps(name):
    """The same for a loop that steps both together."""
    build = PER_STEP[name]
    there, found = kept(build, SHORT)
    assert there == digits(kept_by_the_loop(build, SHORT, every=1), rel=1e-12)
    assert found.facts["scheduler_every"].startswith("step")


@pytest.mark.parametrize(("every", "moves"), [("step", 1), ("epoch", 20), (7, 7)])
def test_a_pace_that_is_given_counts(every, moves):
    """Neither plan nor guess is used then, and nothing is reported as guessed."""
    build = PER_EPOCH["CosineAnnealingLR"]
    there, found = kept(build, SHORT, every=every)
    loop = kept_by_the_loop(build, SHORT, every=moves)
    assert there == digits(loop, rel=1e-12)
    assert found.facts["scheduler_every"] == f"{every}{' steps' * (every == 7)}"
    assert not any("guessed" in text for text in found.unchecked)


@pytest.mark.parametrize(
    ("name", "share"), [("StepLR", 0.648), ("CosineAnnealingLR", 0.545)]
)
def test_the_docs_of_torch_keep_what_their_loop_keeps(name, share):
    """30 epochs of CIFAR-10: 64.8 % under StepLR(10), 54.5 % under a cosine."""
    there, found = kept(PER_EPOCH[name])
    assert there == pytest.approx(share, abs=5e-4)
    (note,) = [each for each in found.findings if each.code == "DW010"]
    assert "weight_decay=0)" not in note.line
    assert note.case not in {"zero", "no-decay"}


def test_a_resnet_is_followed_through_all_of_its_steps():
    """He et al.: 450,450 steps of SGD, a tenth after 30 and 60 epochs, leave 6e-8."""
    model = mlp()
    optimizer = torch.optim.SGD(grouped(model, 1e-4), lr=0.1, momentum=0.9)
    scheduler = lr_scheduler.StepLR(optimizer, 30)
    run = Run(batch_size=256, dataset_size=1_281_167, epochs=90)
    line = audit(model, optimizer, scheduler=scheduler, run=run).table[0]
    # w and b of torch's SGD, step by step.
    weight, buffer, lost = 1.0, 0.0, 0.0
    for step in range(450_450):
        buffer = 0.9 * buffer + 1e-4 * weight
        weight -= 0.1 ** (1 + step // 150_150) * buffer
        if weight < 0.5:
            weight, buffer, lost = 2 * weight, 2 * buffer, lost + math.log(2)
    expected = math.exp(-lost) * weight
    assert line.kept == digits(expected, rel=1e-9)  # half a million roundings
    assert f"{line.kept:.0e}" == "6e-08"


FOLLOWED = "dwindle.pytorch.follow_schedule"
PEAKS = "dwindle.pytorch.holding.lr_peaks"
LONG = {
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [900_000, 1_500_000]),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 2_000_000),
    "SequentialLR": lambda o: sequence(o, 50_000, 1_950_000),
}


@pytest.mark.parametrize(
    ("name", "fewer"),
    [
        ("MultiStepLR", 10),
        pytest.param("MultiStepLR", 1, marks=pytest.mark.full),
        pytest.param("CosineAnnealingLR", 1, marks=pytest.mark.full),
        pytest.param("SequentialLR", 1, marks=pytest.mark.full),
    ],
)
def test_two_million_steps_are_followed(name, fewer, monkeypatch):
    """A schedule is evaluated at fifty thousand places, and never taken as constant."""
    monkeypatch.setattr(f"{FOLLOWED}._PLACES", 50_000 // fewer)
    monkeypatch.setattr(f"{PEAKS}._MOST_STEPS", 1_000_000 // fewer)
    run = Run(steps=2_000_000, epochs=10)
    there, _ = kept(LONG[name], run, every="step", lr=1e-5)
    lost = 0.0
    for at in range(0, 2_000_000, 2000):  # the lr as torch has it, by its formula
        if name == "MultiStepLR":
            lr = 1e-5 * 0.1 ** sum(at >= end for end in (900_000, 1_500_000))
        else:
            lr = _closed_form(name, at)
        lost -= 2000 * math.log1p(-lr * DECAY)
    # A place of a jump is known to 20 steps (200), the sum here to 1000.
    assert math.log(there) == pytest.approx(-lost, rel=1e-3)


def _closed_form(name, at):
    first = 50_000 if name == "SequentialLR" else 0
    if at < first:
        return 1e-5 * (0.1 + 0.9 * at / first)
    share = (at - first) / (2_000_000 - first)
    return 1e-5 * (1 + math.cos(math.pi * share)) / 2


def test_a_long_schedule_of_unknown_kind_is_not_taken_as_constant(monkeypatch):
    """Where it would take too many steps the audit reports that, and no number."""
    monkeypatch.setattr(f"{FOLLOWED}._MOST", 100_000)
    monkeypatch.setattr(f"{PEAKS}._MOST_STEPS", 100_000)

    class Own(lr_scheduler.StepLR):
        pass

    there, found = kept(
        lambda o: Own(o, 1000), Run(steps=300_000, epochs=3), every="step"
    )
    assert there is None
    assert found.table[0].e_folds is None
    assert any("has 300,000" in t for t in found.unchecked)


def test_a_schedule_beside_the_scheduler_counts():
    """It was given last, by somebody who knows the loop; that is reported."""
    run = Run(
        batch_size=128, dataset_size=50_000, epochs=30, schedule=Schedule(shape="wsd")
    )
    there, found = kept(PER_EPOCH["StepLR"], run)
    alone, _ = kept(PER_EPOCH["StepLR"], RUN)
    expected = math.exp(-sum(-math.log1p(-1e-4 * each) for each in run.multipliers()))
    assert there == digits(expected, rel=1e-9)
    assert there != alone
    assert any("given counts" in text for text in found.unchecked)


def test_a_scheduler_can_be_left_out():
    """every="never" takes that of the run; a pace without a scheduler is named."""
    model = mlp()
    unused = audit(model, adamw(model), run=RUN, every="epoch").unchecked
    assert any("and no scheduler" in text for text in unused)
    there, found = kept(PER_EPOCH["StepLR"], every="never")
    assert there == digits((1 - 1e-4) ** 11_730, rel=1e-9)
    assert "scheduler" not in found.facts


def test_no_zero_is_advised_from_a_guessed_pace():
    """A wrong guess of the pace must not take the decay out of a program."""
    run = Run(batch_size=10, dataset_size=2000, epochs=5)
    build = PER_STEP["StepLR"]  # as steps it is over after a fifth of the run

    def note(**options):
        _, found = kept(build, run, **options)
        return of(found, "DW010")

    guessed, given = note(), note(every="step")
    assert guessed.severity == given.severity == "note"
    assert given.case == "no-decay"
    assert guessed.line == ""
    assert guessed.case == "open"


def test_fine_tuning_is_as_good_as_none_at_any_pace():
    """Where even the peak lr leaves nearly all, a guess changes nothing."""
    run = Run(batch_size=32, dataset_size=10_000, epochs=3)
    model = mlp()
    optimizer = adamw(model, lr=2e-5, weight_decay=0.01)
    scheduler = lr_scheduler.StepLR(optimizer, 1)
    found = audit(model, optimizer, scheduler=scheduler, run=run).findings
    (note,) = [each for each in found if each.code == "DW010"]
    assert note.case == "no-decay"


def test_an_epoch_of_unknown_length_is_named():
    """With steps alone nobody knows how long an epoch is: no number is claimed."""
    for every in (None, "epoch"):
        there, found = kept(PER_EPOCH["StepLR"], Run(steps=11_730), every=every)
        assert there is None
        (text,) = [text for text in found.unchecked if "was not followed" in text]
        assert "--scheduler-every" in text
        assert "--schedule cosine" in text
    share, _ = kept(PER_EPOCH["StepLR"], Run(steps=11_730), every=391)
    assert share == digits(kept(PER_EPOCH["StepLR"])[0], rel=1e-12)
    both, _ = kept(PER_EPOCH["StepLR"], Run(steps=11_730, epochs=30))
    assert both == share


def test_a_metric_nobody_knows_leaves_no_number():
    """ReduceLROnPlateau is not taken as a constant lr."""
    there, found = kept(lr_scheduler.ReduceLROnPlateau)
    assert there is None
    assert any("a metric of" in t for t in found.unchecked)


def test_the_scheduler_of_another_optimizer_is_a_finding():
    """The lr of this one never changes, and each step decays as at its peak."""
    there, found = kept(lambda _: lr_scheduler.StepLR(plain(), 10))
    assert [each.code for each in found.findings] == ["DW029"]
    assert found.exit_code == 1
    assert there == digits((1 - 1e-4) ** 11_730, rel=1e-9)


def test_every_optimizer_goes_along_its_own_scheduler():
    """A list of schedulers, as a GAN has them: each is followed for its own."""
    first, second = mlp(), mlp()
    model = nn.ModuleList([first, second])
    optimizers = [adamw(first), adamw(second)]
    schedulers = [
        lr_scheduler.StepLR(optimizers[1], 10),
        lr_scheduler.CosineAnnealingLR(optimizers[0], 30),
    ]
    found = audit(model, optimizers, scheduler=schedulers, run=RUN)
    shares = [line.kept for line in found.table if line.weight_decay]
    assert shares == pytest.approx([0.545, 0.648], abs=5e-4)
    assert found.facts["scheduler"] == "CosineAnnealingLR, StepLR"


def test_a_momentum_that_cycles_is_followed():
    """OneCycleLR moves SGD's momentum; what is left is what real steps leave."""
    run = Run(batch_size=10, dataset_size=200, epochs=20)

    def built(parameters):
        optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
        return optimizer, lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=400)

    weight = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer, scheduler = built([{"params": [weight], "weight_decay": 0.01}])
    for _ in range(400):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
        if scheduler.last_epoch < 399:
            scheduler.step()
    model = mlp()
    optimizer, scheduler = built(grouped(model, 0.01))
    line = audit(model, optimizer, scheduler=scheduler, run=run).table[0]
    assert line.kept == digits(weight.item(), rel=1e-11)  # four hundred roundings


def test_a_change_keeps_the_shape_of_the_scheduler():
    """Twice the lr is twice the e-folds that the scheduler made, not of a constant."""
    _, found = kept(PER_EPOCH["StepLR"])
    before = Run(batch_size=128, dataset_size=50_000, epochs=30, lr=1e-3)
    after = Run(batch_size=128, dataset_size=50_000, epochs=30, lr=2e-3)
    moved = audit_of_facts(found, before, after)
    was, now = (line.e_folds for line in moved.table if line.weight_decay)
    assert was == digits(found.table[0].e_folds, rel=1e-12)
    assert now / was == pytest.approx(2, rel=1e-3)
    note = of(moved, "DW031")
    assert note.values["then"] == pytest.approx(0.434, abs=5e-4)


@pytest.mark.parametrize("every", ["epochs", 0, -1, 1.5, True])
def test_what_is_no_pace_is_refused(every):
    """The error explains what a pace is."""
    with pytest.raises(RangeError) as raised:
        kept(PER_EPOCH["StepLR"], every=every)
    assert raised.value.name == "every"


def test_a_probe_follows_at_the_pace_that_is_given():
    """Ten steps of 11,730 may be epochs: what they leave at that pace."""
    optimizer = plain()
    scheduler = lr_scheduler.StepLR(optimizer, 10)
    by_epochs = probe(optimizer, scheduler=scheduler, steps=11_730, every=391).groups[0]
    loop = kept_by_the_loop(PER_EPOCH["StepLR"], RUN, every=391)
    assert by_epochs.kept == digits(loop, rel=1e-12)
    assert by_epochs.scheduler_every == 391


def test_a_schedule_that_ends_with_the_last_whole_batches_is_followed():
    """A loader that drops a short batch has 390 steps an epoch, and a plan of them."""
    there, _ = kept(lambda o: lr_scheduler.OneCycleLR(o, LR, total_steps=11_700))
    assert there == pytest.approx(0.57, abs=0.02)
    _, found = kept(lambda o: lr_scheduler.OneCycleLR(o, LR, total_steps=11_000))
    assert any("after 11,000 steps" in text for text in found.unchecked)


class Around(torch.optim.Optimizer):
    """A wrapper that shares the groups of what is inside, as Lookahead and SAM do."""

    def __init__(self, inner):
        self.inner = inner
        self.defaults, self.state = inner.defaults, inner.state
        self.param_groups = inner.param_groups

    def step(self, closure=None):
        self.inner.step(closure)


def test_the_scheduler_of_what_is_inside_is_one_of_the_wrapper():
    """Both set the lr of the same groups."""
    model = mlp()
    inner = adamw(model)
    scheduler = lr_scheduler.StepLR(inner, 10)
    found = audit(model, Around(inner), scheduler=scheduler, run=RUN)
    assert "DW029" not in [each.code for each in found.findings]
    assert found.table[0].kept == pytest.approx(0.648, abs=5e-4)


STEPS = 60
KINDS = {
    "torch.optim.AdamW": (torch.optim.AdamW, {}),
    "torch.optim.SGD": (torch.optim.SGD, {"momentum": 0.9}),
}


def parameters():
    return [nn.Parameter(torch.randn(3, 5))]


@pytest.mark.parametrize("name", KINDS)
def test_what_a_cosine_leaves_is_what_we_compute(name):
    """The copies go along the schedule as the real ones would."""
    kind, options = KINDS[name]
    optimizer = kind(parameters(), lr=0.05, weight_decay=0.01, **options)
    scheduler = lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    run = Run(lr=0.05, steps=STEPS, schedule=Schedule(shape="cosine"), **options)
    expected = survival_from_number(KNOBS[name], 0.01, run)
    with left_alone(optimizer):
        (group,) = probe(optimizer, scheduler=scheduler, steps=STEPS).groups
    assert group.kept == digits(expected, rel=1e-12)  # sixty steps in float64
    assert group.run_steps == STEPS


def test_computed_and_watched_runs_agree():
    """A group that does not decouple makes the copy step; the others come out alike."""
    # The copy multiplies the weights; otherwise only lr and knob are read.
    one = {"params": parameters(), "decoupled_weight_decay": True}
    other = {"params": parameters(), "decoupled_weight_decay": False}
    alone = torch.optim.Adam([dict(one)], lr=0.1, weight_decay=0.1)
    both = torch.optim.Adam([dict(one), other], lr=0.1, weight_decay=0.1)
    kept = [
        probe(
            each, scheduler=lr_scheduler.StepLR(each, 7, gamma=0.5), steps=STEPS
        ).groups
        for each in (alone, both)
    ]
    assert kept[0][0].e_folds == digits(kept[1][0].e_folds, rel=1e-12)
    assert kept[1][1].kept is None


@pytest.mark.parametrize("steps", [None, 0, 30.5, "30", math.nan, True])
def test_a_schedule_without_a_length_is_refused(steps):
    """No scheduler shows how long the run is; it has whole steps."""
    optimizer = plain()
    scheduler = lr_scheduler.ConstantLR(optimizer)
    with pytest.raises(RangeError) as raised:
        probe(optimizer, scheduler=scheduler, steps=steps)
    assert raised.value.name == "steps"
