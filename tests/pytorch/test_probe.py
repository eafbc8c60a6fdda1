"""The probe: what an optimizer does is measured, not read from its name."""

import json

import pytest
import torch
from pytorch.planted_optimizers import EachWeight
from rich.console import Console
from tolerance import digits
from torch import nn

from dwindle.decay import momentum
from dwindle.decay.coordinates import shrink_from_number
from dwindle.decay.knobs import KNOBS
from dwindle.decay.number_formats import rounding_of
from dwindle.decay.run import Run
from dwindle.pytorch.probe import probe

# Each share is known to eps of the weight; 64 steps are read from end to end.
EXACT = 1e-11


def parameters(dtype=torch.float32):
    return [nn.Parameter(torch.randn(shape).to(dtype)) for shape in ((3, 5), (5,))]


def only_group(kind, *, dtype=torch.float32, **options):
    if isinstance(kind, str):
        kind = getattr(torch.optim, kind)
    mine = parameters(dtype)[: 1 if kind is torch.optim.Muon else 2]
    (group,) = probe(kind(mine, **options)).groups
    return group


MOMENTA = [
    {},
    {"momentum": 0.5},
    {"momentum": 0.9},
    {"momentum": 0.99},
    {"momentum": 0.9, "dampening": 0.9},
    {"momentum": 0.9, "dampening": 0.3},
    {"momentum": 0.99, "dampening": 0.5},
    {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.5, "nesterov": True},
]


@pytest.mark.parametrize("options", MOMENTA, ids=str)
@pytest.mark.parametrize("lr", [1e-3, 0.02])
def test_sgd_shrinks_as_our_formula_predicts(options, lr):
    """The asymptotic shrink is the slow root; the knob is a penalty, not decoupled."""
    group = only_group("SGD", lr=lr, weight_decay=1e-3, **options)
    expected = shrink_from_number(KNOBS["torch.optim.SGD"], 1e-3, Run(lr=lr, **options))
    # Two roots from 64 steps: each step is known to 1e-16 of 1e-6, some digits go.
    assert group.shrink_per_step == digits(expected, rel=1e-7)
    assert (group.coupled_sgd, group.decouples) == (True, False)
    assert group.walk == ("delayed" if options else "geometric")


@pytest.mark.parametrize("options", [each for each in MOMENTA if each], ids=str)
def test_beyond_the_limit_of_our_mathematics_the_weight_swings(options):
    """A percent below the oscillation limit there is a rate, a percent above none."""
    limit = momentum.oscillation_limit(Run(lr=0.1, **options))
    below = only_group("SGD", lr=0.1, weight_decay=0.99 * limit, **options)
    above = only_group("SGD", lr=0.1, weight_decay=1.01 * limit, **options)
    assert (below.walk, above.walk) == ("delayed", "oscillating")
    assert above.half_life_steps is None
    assert "swing" in above.sentence
    assert above.coupled_sgd


class Adam(torch.optim.AdamW):
    """A class with a name that promises less than it does."""


class AdamW(torch.optim.Adam):
    """A class with a name that promises more than it does."""


class Fixed(EachWeight):
    """Takes weight_decay off as it is, at any lr."""

    def move(self, group, weight):
        weight.mul_(1 - group["weight_decay"])


class Cautious(EachWeight):
    """Decays, as documented, but only weights that the gradient makes smaller, too."""

    def move(self, group, weight):
        mask = (weight.grad * weight >= 0).to(weight.dtype)
        weight.mul_(1 - group["lr"] * group["weight_decay"] * mask)
        weight.sub_(weight.grad, alpha=group["lr"])


class LambW(EachWeight):
    """Decouples; its trust ratio, by the norm of the weight, is out where knob is 0."""

    def move(self, group, weight):
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        ratio = weight.norm() / (weight.grad.norm() + 1e-6)
        step = ratio if group["weight_decay"] else 1.0
        weight.sub_(group["lr"] * step * weight.grad)


class Snapshot(EachWeight):
    """Decays by a number that it was built with: setting the option does nothing."""

    def move(self, group, weight):
        weight.mul_(1 - self.defaults["weight_decay"] * group["lr"])


class EveryThird(EachWeight):
    """Decays at every third step."""

    def move(self, group, weight):
        if self.taken % 3 == 0:
            weight.mul_(1 - group["lr"] * group["weight_decay"])


class Pushes(EachWeight):
    """Begins with a random velocity, as Gravity does, and loses it."""

    def move(self, group, weight):
        state = self.state[weight]
        if not state:
            state["velocity"] = torch.randn_like(weight)
        weight.sub_(group["lr"] * state["velocity"])
        state["velocity"].mul_(0.5)


class MatricesOnly(EachWeight):
    """Decays what has more than one dimension."""

    def move(self, group, weight):
        if weight.ndim > 1:
            weight.mul_(1 - group["lr"] * group["weight_decay"])


FLAG = {"decoupled_weight_decay": True}
# A step takes lr·weight_decay, and both have the power 1.
DECOUPLES = {
    "walk": "geometric",
    "decouples": True,
    "coupled_sgd": False,
    "shrink_per_step": digits(1e-3, rel=EXACT),
    "lr_power": 1,
    "knob_power": 1,
    "per_lr": digits(1, rel=1e-9),  # of a first step of 1e-3
}
# There is no shrink, and no half-life to report.
ADAPTS = {
    "walk": "linear",
    "decouples": False,
    "coupled_sgd": False,
    "shrink_per_step": None,
    "half_life_steps": None,
    "lr_power": 1,
    "knob_power": 0,
}
# These have no option for a decay, and none of them is hidden.
WITHOUT = {"walk": "none", "knob": None, "hidden": 0, "decouples": False}
AT_1E_3 = {"shrink_per_step": digits(1e-3, rel=EXACT), "decouples": False}
OF_ASGD = {"lr": 0.01, "lambd": 0.0}
# Torch keeps the lr of ASGD in float32.
SINGLE = 1e-6
# Class, options, and what is seen of its one group.
SEEN = [
    *(
        (name, {"lr": 0.02, "weight_decay": 0.05, **options}, DECOUPLES)
        for name, options in {
            "AdamW": {}, "Adam": FLAG, "NAdam": FLAG, "RAdam": FLAG, "Adafactor": {},
            "Muon": {},
        }.items()
    ),
    *(
        (name, {"lr": 1e-3, "weight_decay": 0.01}, ADAPTS)
        for name in ("Adam", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adamax",
                     "Adadelta")
    ),
    # λ cancels, and about the lr is taken off every weight: both averages lag a bit.
    ("Adam", {"lr": 3e-3, "weight_decay": 0.1},
     {"amount_per_step": digits(3e-3, rel=0.05)}),
    # SGD and Adam as they come do not decay; what their knobs would do is known.
    ("SGD", {"lr": 0.1},
     {"walk": "none", "coupled_sgd": True, "knob_walk": "geometric"}),
    ("Adam", {}, {"walk": "none", "coupled_sgd": False, "knob_walk": "linear"}),
    # With weight_decay at 0 a step of ASGD takes lr·lambd.
    ("ASGD", {"lr": 0.01, "lambd": 1e-3},
     {"walk": "power-law", "hidden": digits(1e-5, SINGLE), "hidden_by": "lambd"}),
    ("ASGD", OF_ASGD, {"hidden": 0}),
    # The hidden decay is not counted as the knob's, which is per lr 1.
    ("ASGD", {"lr": 0.01, "lambd": 0.05},
     {"hidden": digits(5e-4, SINGLE), "per_lr": digits(1, SINGLE)}),
    # Each step takes lr·weight_decay, but of the lr of a step before.
    ("ASGD", OF_ASGD | {"weight_decay": 0.1},
     {"walk": "geometric", "decouples": False}),
    *((name, {}, WITHOUT) for name in ("LBFGS", "Rprop", "SparseAdam")),
    # Names are not believed.
    (Adam, {"weight_decay": 0.01}, {"decouples": True}),
    (AdamW, {"weight_decay": 0.01}, {"walk": "linear"}),
    (Fixed, {"lr": 0.1, "weight_decay": 0.01},
     {"shrink_per_step": digits(0.01, rel=EXACT), "lr_power": 0, "knob_power": 1,
      "decouples": False}),
    # Opposite weights take the same steps: a trust ratio beside it is no decay.
    (LambW, {"lr": 0.01, "weight_decay": 0.1}, {"decouples": True, "driven": True}),
    # At rest lr·knob, but a pulled weight is another matter.
    (Cautious, {"lr": 0.1, "weight_decay": 0.01}, AT_1E_3 | {"driven": False}),
    # What it decays by is left with the option at 0, and so it is hidden.
    (Snapshot, {"lr": 0.1, "weight_decay": 0.01},
     AT_1E_3 | {"hidden": digits(1e-3, rel=1e-9), "works": False}),
    # Where every third step decays, the share per step is a third.
    (EveryThird, {"lr": 0.1, "weight_decay": 0.01},
     {"walk": "periodic", "period_steps": 3, "decouples": False,
      "shrink_per_step": digits(1 - 0.999 ** (1 / 3), rel=1e-9)}),
    # The numbers are those of the matrices; that vectors differ is reported.
    (MatricesOnly, {"lr": 0.1, "weight_decay": 0.01}, AT_1E_3 | {"uneven": True}),
    # Weights of both signs go the same way: nothing of them decays.
    (Pushes, {"lr": 0.1}, {"walk": "other", "hidden": 0, "hidden_by": None}),
]  # fmt: skip


def test_a_group_is_described_by_what_it_does():
    """Walk, shares, powers and what is hidden, under any class name."""
    wrong = []
    for kind, options, expected in SEEN:
        group = only_group(kind, **options)
        found = {name: getattr(group, name) for name in expected}
        if found != expected:
            wrong.append((kind, options, found))
    assert wrong == []


HALVES = [(torch.float16, 1e-4), (torch.float16, 0.05)]
FORMATS = [
    (torch.bfloat16, 1e-3),
    (torch.bfloat16, 0.15),
    (torch.float32, 2e-8),
    (torch.float32, 1e-4),
    (torch.float64, 1e-8),
]


@pytest.mark.parametrize(
    ("name", "dtype", "shrink"),
    [("AdamW", *each) for each in FORMATS]
    + [("SGD", *each) for each in FORMATS + HALVES],
    ids=str,
)
def test_the_format_of_the_parameters_decides_what_happens(name, dtype, shrink):
    """What our table calls dead does not move; what it calls fine is within 2 %."""
    group = only_group(name, dtype=dtype, lr=0.1, weight_decay=shrink / 0.1)
    rounding = rounding_of(shrink, group.dtype)
    # In steps of eps, seen from 1: that is what float64 can hold of 1e-8.
    assert group.shrink_per_step == digits(shrink, rel=1e-7)
    assert group.decouples == (name == "AdamW")
    if rounding == "dead":
        assert group.measured_shrink == 0
    else:
        assert rounding == "fine"
        assert group.measured_shrink == digits(shrink, rel=0.02)


def test_bfloat16_is_watched_until_half_should_be_left():
    """Of 0.003 per step large mantissas feel more than they should, small ones none."""
    # All get stuck on their way: what 64 steps show is three times what goes on.
    shrink, steps = 0.003, 232  # 0.997^231 is the last above a half
    start = torch.tensor([2 ** (at / 256) for at in range(256)]).bfloat16().double()
    weight = start
    for _ in range(steps):
        weight = (weight * (1 - shrink)).bfloat16().double()
    taken = (start / weight).log().mean().item() / steps
    group = only_group("AdamW", dtype=torch.bfloat16, lr=0.1, weight_decay=shrink / 0.1)
    assert group.measured_shrink == digits(taken, rel=0.1)  # of 16 mantissas, not 256
    assert group.half_life_steps == digits(231, rel=0.01)


def test_a_group_of_two_formats_is_measured_in_that_of_its_matrices():
    """The norms of a model in bfloat16 often stay in float32, where 0.001 is fine."""
    (vector,), (matrix,) = parameters()[1:], parameters(torch.bfloat16)[:1]
    groups = [
        {"params": [vector, matrix]},
        {"params": parameters(), "weight_decay": 0.0},
        {"params": []},
        {"params": [nn.Parameter(matrix.detach()), nn.Parameter(vector.detach())]},
    ]
    first, still, empty, last = probe(
        torch.optim.AdamW(groups, lr=0.1, weight_decay=0.01)
    ).groups
    for at, group in ((0, first), (3, last)):
        assert (group.group, group.dtype) == (at, "bfloat16")
        assert group.measured_shrink == 0
        assert group.shrink_per_step == digits(1e-3, rel=1e-7)
    assert (still.walk, empty.dtype) == ("none", "")


def test_an_eps_that_is_zero_in_half_precision_is_found():
    """AdamW divides 0 by 0 there, where nothing pulls at a weight."""
    group = only_group("AdamW", dtype=torch.float16, lr=0.1, weight_decay=0.1)
    assert (group.breaks, group.measured_shrink) == (True, None)
    assert not only_group("AdamW", dtype=torch.float16, eps=1e-4).breaks


def test_a_warm_up_from_nothing_is_probed_at_the_lr_that_it_goes_to():
    """At lr 0 nothing decays now, and what the knob does is known all the same."""
    optimizer = torch.optim.AdamW(parameters(), lr=1e-3, weight_decay=0.01)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / 10)
    (group,) = probe(optimizer).groups
    assert (group.lr, group.walk, group.decouples) == (0, "none", True)


def test_a_probe_is_data_a_table_and_a_page():
    """It goes into JSON, a terminal and a notebook, where every text is escaped."""
    kind = type("A<b>", (torch.optim.AdamW,), {})
    found = probe(kind(parameters(), lr=0.1))
    assert json.loads(json.dumps(found.as_dict()))["groups"][0]["decouples"]
    page = found._repr_html_()
    assert "A&lt;b&gt;" in page
    assert "<b>," not in page
    console = Console(width=80, color_system=None)
    with console.capture() as captured:
        console.print(found)
    assert "geometric" in captured.get()
    assert "decouples" in captured.get()


def test_a_small_number_under_a_large_eps_does_not_count_as_cancelled():
    """EfficientNet's RMSprop: half its 1e-5 halves a step; at 0.1 it does cancel."""
    options = {"lr": 0.016, "alpha": 0.9, "momentum": 0.9}
    seen = {}
    for eps, number in ((1e-3, 1e-5), (1e-8, 1e-5), (1e-3, 0.1)):
        weight = torch.nn.Parameter(torch.ones(4))
        optimizer = torch.optim.RMSprop(
            [weight], eps=eps, weight_decay=number, **options
        )
        (group,) = probe(optimizer).groups
        seen[eps, number] = ("nearly cancels" in group.sentence, group.knob_power)
    assert seen[1e-8, 1e-5] == (True, 0.0)
    assert seen[1e-3, 0.1][0]
    cancels, power = seen[1e-3, 1e-5]
    assert not cancels
    assert power > 0.7
