"""Every torch record of the knob table against the optimizer that it describes."""

import inspect

import pytest
import torch
from tolerance import digits

from dwindle.decay.coordinates import survival_from_number
from dwindle.decay.families import FAMILIES
from dwindle.decay.knobs import KNOBS
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import RefusedError

RUN = Run(
    lr=0.01,
    steps=60,
    momentum=0.9,
    schedule=Schedule(shape="cosine", warmup=0.1),
)
# ASGD keeps its step size in the default dtype, float32, which has seven digits.
ROUNDED = {"torch.optim.ASGD": 1e-6, "torch.optim.ASGD:lambd": 1e-6}
TORCH_KNOBS = [name for name in KNOBS if name.startswith("torch.optim.")]
SETS_A_RATE = [n for n in TORCH_KNOBS if KNOBS[n].family != "coupled-adaptive"]
IGNORES_IT = [n for n in TORCH_KNOBS if KNOBS[n].family == "coupled-adaptive"]
# These have no such argument: a penalty for them is written into the loss.
WITHOUT_A_KNOB = {"LBFGS", "Optimizer", "Rprop", "SparseAdam"}


def optimizer_of(name):
    path, _, variant = name.partition(":")
    return getattr(torch.optim, path.rpartition(".")[2]), variant


def arguments_of(name, number):
    """How the record's number is typed, as keyword arguments of the optimizer."""
    kind, variant = optimizer_of(name)
    if variant == "lambd":
        return kind, {"lambd": number}
    arguments = {"weight_decay": number}
    if variant == "decoupled":
        arguments["decoupled_weight_decay"] = True
    if name == "torch.optim.SGD":
        arguments["momentum"] = RUN.momentum
    return kind, arguments


def measured_survival(name, number):
    """What the optimizer leaves of a weight when no gradient pulls at it."""
    kind, arguments = arguments_of(name, number)
    start = torch.tensor([[2.0, -3.0], [0.5, 11.0]], dtype=torch.float64)
    weight = start.clone().requires_grad_()
    optimizer = kind([weight], lr=RUN.lr, **arguments)
    for multiplier in RUN.multipliers():
        optimizer.param_groups[0]["lr"] = RUN.lr * multiplier
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
    return (weight.detach() / start).flatten().tolist()


@pytest.mark.parametrize("name", SETS_A_RATE)
def test_what_is_left_is_what_the_record_says(name):
    """Under warm-up, cosine and momentum, the record predicts the real survival."""
    tolerance = ROUNDED.get(name, 1e-12)  # sixty steps, each rounding at 1e-16
    predicted = survival_from_number(KNOBS[name], 0.5, RUN)
    assert measured_survival(name, 0.5) == digits([predicted] * 4, rel=tolerance)


@pytest.mark.parametrize("name", IGNORES_IT)
def test_a_coupled_adaptive_record_has_no_rate_to_predict(name):
    """A hundredfold number decays alike there, and the record refuses a number."""
    weak, strong = measured_survival(name, 0.01), measured_survival(name, 1.0)
    # A fifth: what eps and Adadelta's slow start leave of a factor of a hundred.
    assert strong == pytest.approx(weak, rel=0.2)
    with pytest.raises(RefusedError) as raised:
        survival_from_number(KNOBS[name], 0.01, RUN)
    assert raised.value.instead == FAMILIES[KNOBS[name].family].instead


@pytest.mark.parametrize("name", TORCH_KNOBS)
def test_the_default_is_the_one_of_this_torch(name):
    """The default of the record is the default of the argument."""
    kind, variant = optimizer_of(name)
    argument = "lambd" if variant == "lambd" else "weight_decay"
    default = inspect.signature(kind).parameters[argument].default
    assert KNOBS[name].default == default


def test_every_optimizer_of_torch_has_a_record():
    """Every optimizer with a weight_decay is in the table, and none beside."""
    public = {name for name in dir(torch.optim) if name[0].isupper()}
    assert {optimizer_of(name)[0].__name__ for name in TORCH_KNOBS} == (
        public - WITHOUT_A_KNOB
    )
    for name in public - WITHOUT_A_KNOB:
        flag = inspect.signature(getattr(torch.optim, name)).parameters
        decoupled = f"torch.optim.{name}:decoupled" in KNOBS
        assert decoupled == ("decoupled_weight_decay" in flag)
