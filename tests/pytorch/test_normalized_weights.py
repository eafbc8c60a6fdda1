"""Weights whose size a normalization divides out: by declaration, and by a pass."""

import pytest
import torch
from pytorch.planted_programs import cnn
from torch import nn

from dwindle.errors import RangeError
from dwindle.pytorch.checks.normalized import (
    normalized_by_declaration,
    normalized_by_themselves,
    normalized_in_a_pass,
)


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


def test_an_example_may_be_named():
    """A mapping gives arguments by their names, a tuple by their places."""
    assert flowing(cnn(), {"input": IMAGES}) == flowing(cnn(), (IMAGES,))


def test_an_example_that_does_not_fit_is_told():
    """What the model says is in the error."""
    with pytest.raises(RangeError) as raised:
        flowing(cnn(), torch.randn(2, 2))
    assert raised.value.name == "example"
    assert "RuntimeError" in raised.value.value
