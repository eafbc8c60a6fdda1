"""Weights whose size a norm divides out: which they are, and what DW016 keeps."""

import math

import pytest
import torch
from pytorch.planted_optimizers import EachWeight
from pytorch.planted_programs import cnn, grouped, of
from tolerance import digits
from torch import nn

from dwindle.errors import RangeError
from dwindle.pytorch.audit import audit
from dwindle.pytorch.checks.normalized import (
    normalized_by_declaration,
    normalized_by_themselves,
    normalized_in_a_pass,
)
from dwindle.pytorch.probing.measuring import steps_by_size


def names_of(model, found):
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(each.parameter)] for each in found}


def declared(model):
    return names_of(model, normalized_by_declaration(model))


def flowing(model, example):
    return names_of(model, normalized_in_a_pass(model, example))


class Residual(nn.Module):
    """conv1 goes into its norm alone, conv2 into its norm and around it."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 3, 1)
        self.bn1 = nn.BatchNorm2d(3)
        self.conv2 = nn.Conv2d(3, 3, 1)
        self.bn2 = nn.BatchNorm2d(3)

    def forward(self, x):
        y = self.conv2(self.bn1(self.conv1(x)).relu())
        return self.bn2(y) + y


class Unordered(nn.Module):
    """Declared in an order in which nothing flows."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4)
        self.inner = nn.Linear(4, 4, bias=False)
        self.first = nn.Linear(4, 4, bias=False)

    def forward(self, x):
        return self.inner(self.norm(self.first(x)))


class Reshaped(nn.Module):
    """A convolution whose output is seen another way before the norm, as in a ViT."""

    def __init__(self):
        super().__init__()
        self.proj = nn.Conv2d(3, 8, 2, stride=2, bias=False)
        self.norm = nn.LayerNorm(8)

    def forward(self, x):
        return self.norm(self.proj(x).flatten(2).transpose(1, 2))


class Clamped(nn.Module):
    """Something is written into the output before the norm reads it."""

    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(4, 4, bias=False)
        self.norm = nn.LayerNorm(4)

    def forward(self, x):
        return self.norm(self.proj(x).clamp_(max=1.0))


IMAGES = torch.randn(4, 3, 6, 6)


class Both(Clamped):
    """What goes into the norm is returned beside what comes out."""

    def forward(self, x):
        y = self.proj(x)
        return {"hidden": y, "logits": self.norm(y)}


class Twice(Clamped):
    """One use that goes elsewhere is enough for the size to matter."""

    def forward(self, x):
        return self.norm(self.proj(x)) + self.proj(x).relu()


def before_a_norm(norm, *, bias=False):
    return nn.Sequential(nn.Linear(4, 4, bias=bias), norm)


ROWS, UNKNOWN = torch.randn(2, 4), None
# Model -> its input, what its declaration shows, what a pass shows.
FOUND = {
    "a convolution before a norm of its size": (
        cnn(), IMAGES, {"0.weight", "3.weight"}, {"0.weight", "3.weight"}
    ),
    # Declared the wrong way around.
    "an order in which nothing flows": (Unordered(), ROWS, set(), {"first.weight"}),
    "a way around the norm": (
        Residual(), IMAGES, {"conv1.weight", "conv2.weight"}, {"conv1.weight"}
    ),
    "a view of the output": (Reshaped(), IMAGES, UNKNOWN, {"proj.weight"}),
    "an output that was written into": (Clamped(), ROWS, UNKNOWN, set()),
    "an output that is given away": (Both(), ROWS, UNKNOWN, set()),
    "a layer used twice": (Twice(), ROWS, UNKNOWN, set()),
    # LayerNorm subtracts one mean, not that of each unit: a bias keeps its size.
    "a bias that stays in": (
        before_a_norm(nn.LayerNorm(4), bias=True), ROWS, set(), set()
    ),
    "no bias": (before_a_norm(nn.LayerNorm(4)), ROWS, {"0.weight"}, {"0.weight"}),
    "a bias that is subtracted": (
        before_a_norm(nn.BatchNorm1d(4), bias=True), ROWS, {"0.weight"}, {"0.weight"}
    ),
    "a norm of another width": (before_a_norm(nn.LayerNorm(8)), None, set(), UNKNOWN),
    "members of a list": (
        nn.ModuleList(before_a_norm(nn.LayerNorm(4))), None, set(), UNKNOWN
    ),
}  # fmt: skip


def test_what_a_norm_divides_out():
    """Only a pass knows what flows; declaration knows neighbours of one size."""
    wrong = {}
    for name, (model, example, by_declaration, in_a_pass) in FOUND.items():
        if by_declaration is not UNKNOWN and declared(model) != by_declaration:
            wrong[name, "declaration"] = declared(model)
        if in_a_pass is not UNKNOWN and flowing(model, example) != in_a_pass:
            wrong[name, "pass"] = flowing(model, example)
    assert wrong == {}


def test_a_frozen_batchnorm_divides_by_what_stays():
    """In evaluation mode inside of a training model it is a fixed scale."""
    model = cnn()
    model[1].eval()
    assert declared(model) == flowing(model, IMAGES) == {"3.weight"}
    assert declared(model.eval()) == {"0.weight", "3.weight"}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated")
def test_parametrized_by_their_own_size():
    """weight_norm and spectral_norm divide the stored weight by its size.

    The hook of the older weight_norm keeps the direction as weight_v.
    """
    ways = nn.utils.parametrizations
    for wrap, name in {
        ways.weight_norm: "parametrizations.weight.original1",
        ways.spectral_norm: "parametrizations.weight.original",
        nn.utils.weight_norm: "weight_v",
    }.items():
        model = wrap(nn.Linear(4, 3))
        assert names_of(model, normalized_by_themselves(model)) == {name}


@pytest.mark.parametrize("build", [Residual, Reshaped, cnn])
def test_what_is_found_can_be_scaled(build):
    """The proof: scale each found weight by three, and the outputs stay."""
    torch.manual_seed(0)
    model, images = build().double(), torch.randn(IMAGES.shape, dtype=torch.float64)
    for module in model.modules():
        # An eps inside of a norm is no part of the claim: 1e-15 beside variances.
        module.eps = 1e-15
    before = model(images)
    found = list(normalized_in_a_pass(model, images))
    assert found
    with torch.no_grad():
        for each in found:
            each.parameter.mul_(3.0)
    torch.testing.assert_close(model(images), before, rtol=1e-9, atol=1e-9)


def test_an_example_has_arguments_by_name_or_by_place():
    """A mapping, or a tuple; the model's own message on another is in the error."""
    assert flowing(cnn(), {"input": IMAGES}) == flowing(cnn(), (IMAGES,))
    with pytest.raises(RangeError) as raised:
        flowing(cnn(), torch.randn(2, 2))
    assert raised.value.name == "example"
    assert "RuntimeError" in raised.value.value


LR, DECAY = 1e-2, 0.02


class Lamb(EachWeight):
    """A trust ratio around a step by signs: each step is a share of the weight."""

    def move(self, group, weight):
        update = weight.grad.sign() + group["weight_decay"] * weight
        size = update.norm()
        weight.sub_(group["lr"] * (weight.norm() / size if size else 1.0) * update)


def rotation(kind, lr, weight_decay, **options):
    """Angle per step, once decay and updates balance, of a weight without a size."""
    noise = torch.Generator().manual_seed(0)
    options |= {"lr": lr, "weight_decay": weight_decay}
    start = torch.randn(256, dtype=torch.float64, generator=noise)
    weight = nn.Parameter(start)
    optimizer, angles = kind([weight], **options), []
    for step in range(1500):
        size = weight.detach().norm()
        unit = weight.detach() / size
        pull = torch.randn(256, dtype=torch.float64, generator=noise)
        # The gradient of what has no size: across the weight, one over its size.
        weight.grad = (pull - unit * (pull @ unit)) / size
        optimizer.step()
        if step >= 1000:
            now = weight.detach() / weight.detach().norm()
            angles.append(math.acos(min(1.0, float(now @ unit))))
    return sum(angles) / len(angles)


def dw016(kind, **options):
    model = cnn()
    optimizer = kind(grouped(model, DECAY), lr=LR, **options)
    return of(audit(model, optimizer), "DW016")


BALANCED = {
    "AdamW": (torch.optim.AdamW, {}, "linear", 50.0),
    "SGD": (torch.optim.SGD, {"momentum": 0.9}, "linear", 50.0),
    "Adam": (torch.optim.Adam, {}, "quadratic", 5.0),
    "NAdam": (torch.optim.NAdam, {}, "quadratic", 5.0),
    "RMSprop": (torch.optim.RMSprop, {}, "quadratic", 5.0),
}


@pytest.mark.parametrize("name", BALANCED)
def test_what_is_advised_keeps_the_rotation(name):
    """At twice the lr the advised number turns weights as far as before."""
    kind, options, kept, stronger = BALANCED[name]
    finding = dw016(kind, **options)
    assert finding.case == kept
    share = finding.values["number"] / DECAY
    assert share == digits(0.25 if kept == "quadratic" else 0.5, rel=1e-12)
    names = {}
    exec(finding.line, names)  # noqa: S102  the line of our own finding
    assert names["weight_decay"] == share * DECAY
    before = rotation(kind, LR, stronger * DECAY, **options)
    after = rotation(kind, 2 * LR, stronger * DECAY * share, **options)
    # A random walk of 500 angles, and a balance that a finite run nearly reaches.
    assert after == pytest.approx(before, rel=0.04)


def test_a_product_is_not_kept_under_a_coupled_adam():
    """Twice the lr and half of the decay turn weights a quarter further: 2^(1/3)."""
    before = rotation(torch.optim.Adam, LR, 5 * DECAY)
    after = rotation(torch.optim.Adam, 2 * LR, 5 * DECAY / 2)
    # As above; what the angles of a thousand more steps leave of it.
    assert after / before == pytest.approx(2 ** (1 / 3), rel=0.04)


def test_of_other_rules_nothing_is_claimed():
    """Under a trust ratio the lr alone turns a weight; others were not seen to balance.

    Steps that grow with the weight are seen by stepping a copy.
    """
    weak, strong = (rotation(Lamb, LR, decay) for decay in (DECAY, DECAY / 2))
    assert weak == pytest.approx(strong, rel=0.02)
    cases = {Lamb: "by-size", torch.optim.Adagrad: "", torch.optim.Adamax: ""}
    found = {kind: dw016(kind) for kind in cases}
    assert {kind: each.case for kind, each in found.items()} == cases
    assert not any(each.line for each in found.values())
    weights = [nn.Parameter(torch.ones(3, 3))]
    assert steps_by_size(Lamb(weights, weight_decay=0.1), at=0)
    for kind in (torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop):
        assert not steps_by_size(kind(weights, lr=0.1), at=0)
