"""Every torch record of the knob table against the optimizer that it describes."""

import inspect

import pytest
import torch
from frameworks.checks import of_torch
from frameworks.checks.check import SIXTY_STEPS
from frameworks.checks.torch_like import left_of
from tolerance import digits

from dwindle.decay.coordinates import survival_from_number
from dwindle.decay.families import AT_ZERO_GRADIENT, FAMILIES
from dwindle.decay.knobs import KNOBS
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import RefusedError

TORCH_KNOBS = {name: KNOBS[name] for name in KNOBS if name.startswith("torch.optim.")}
# These have no such argument: a penalty for them is written into the loss.
WITHOUT_A_KNOB = {"LBFGS", "Optimizer", "Rprop", "SparseAdam"}


@pytest.mark.parametrize("check", of_torch.CHECKS, ids=lambda check: check.label)
def test_what_the_optimizer_does_is_what_the_record_says(check):
    """Under warm-up, cosine and momentum: survival, trajectory, or that λ cancels."""
    # Sixty steps here round at 1e-16 each, so a prediction is held to more than the
    # nine digits that all libraries have.
    is_exact = check.kind == "undriven weight" and check.why == SIXTY_STEPS
    rel = 1e-12 if is_exact else check.rel
    assert check.theirs() == digits(check.ours(), rel=rel)


def test_a_coupled_adaptive_record_refuses_a_number():
    """It has no rate to predict, and says what to use instead."""
    for name, knob in TORCH_KNOBS.items():
        if knob.family == "coupled-adaptive":
            with pytest.raises(RefusedError) as raised:
                survival_from_number(knob, 0.01, Run(lr=0.01, steps=60))
            assert raised.value.instead == FAMILIES[knob.family].instead, name


def test_every_optimizer_of_torch_has_a_record_with_its_default():
    """Every optimizer with a weight_decay is in the table, and none beside."""
    public = {name for name in dir(torch.optim) if name[0].isupper()}
    named = set()
    for name, knob in TORCH_KNOBS.items():
        kind = getattr(torch.optim, name.partition(":")[0].rpartition(".")[2])
        parameters = inspect.signature(kind).parameters
        assert knob.default == parameters[knob.symbol].default, name
        is_flag = "decoupled_weight_decay" in parameters
        assert (f"torch.optim.{kind.__name__}:decoupled" in KNOBS) == is_flag, name
        named.add(kind.__name__)
    assert named == public - WITHOUT_A_KNOB


LR, STEPS, LOW, HIGH = 1e-3, 300, 1e-4, 1e-2
NAMES = ["Adam", "NAdam", "RMSprop", "Adagrad"]
SCHEDULES = [Schedule(), Schedule(shape="cosine", warmup=0.05)]
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.shape)


def survival(name, weight_decay, schedule, **options):
    """What the real optimizer leaves of a weight that no gradient pulls at."""

    def build(weights, lr, number):
        kind = getattr(torch.optim, name)
        return kind(weights, lr=lr, weight_decay=number, **options)

    run = Run(lr=LR, steps=STEPS, schedule=schedule)
    return left_of(build)(weight_decay, run)[0]


@each_schedule
# The update is the same function of λ w for every λ; without eps only roundings differ.
# As it comes eps is 1e-8 (Adagrad: 1e-10) and λ w at least 1e-4, so √v is off by 1e-4
# of itself; RMSprop's √v starts at a tenth, so by up to ten times that at first.
@pytest.mark.parametrize(("options", "rel"), [({"eps": 1e-30}, 1e-11), ({}, 1e-3)])
@pytest.mark.parametrize("name", NAMES)
def test_lambda_cancels_but_for_eps(name, options, rel, schedule):
    """The gradient λ w is divided by its own size: λ has no effect.

    This is why dwindle gives no half-life for them.
    """
    low, high = (survival(name, x, schedule, **options) for x in (LOW, HIGH))
    assert low < 0.999  # it does decay
    assert 1 - low == digits(1 - high, rel=rel)


@each_schedule
def test_radam_divides_from_its_sixth_step_on(schedule):
    """Five steps without division decay by λ lr each; the rest do not know λ."""
    low, high = (survival("RAdam", x, schedule, eps=1e-30) for x in (LOW, HIGH))
    assert low < 0.99
    first_steps = 5 * LR * (HIGH - LOW)  # an upper bound: warm-up makes them smaller
    assert 0 < low - high < 1.1 * first_steps


@pytest.mark.parametrize(
    ("name", "early", "late", "said"),
    [
        ("Adam", 1, 1, "about one lr per step"),
        ("NAdam", 1, 1, "about one lr per step"),
        ("Adamax", 1, 1, "about one lr per step"),
        ("RMSprop", 1.4, 1, "1.4 lr per step at first and one lr later"),
        ("Adagrad", 0.11, 0.02, "lr/√t in step t"),  # means of 1/√t
        ("RAdam", 0.25, 0.87, "a quarter of an lr per step in the first 300"),
        ("Adadelta", 0.005, 0.016, "thousandths of an lr per step at first"),
    ],
)
def test_what_a_step_takes_of_a_weight_with_zero_gradient(name, early, late, said):
    """Lost per step over the lr, at first and later, is what the refusal says."""
    weight = torch.full((2,), 50.0, dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch.optim, name)([weight], lr=LR, weight_decay=HIGH)
    path = [50.0]
    for _ in range(3000):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
        path.append(weight[0].item())
    first, then = (path[0] - path[300]) / 300 / LR, (path[2000] - path[3000]) / LR / 1e3
    assert first == digits(early, rel=0.05)  # the sentence has one or two digits
    assert then == digits(late, rel=0.05)
    update = {"Adam": "adam", "RAdam": "radam"}.get(name, f"torch-{name.lower()}")
    assert said in AT_ZERO_GRADIENT[update]
