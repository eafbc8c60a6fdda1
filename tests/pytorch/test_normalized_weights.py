"""Weights whose size a normalization divides out: by declaration, and by a pass."""

import pytest
import torch
from pytorch.planted_programs import cnn
from torch import nn

from dwindle.errors import RangeError
from dwindle.pytorch.checks.dataflow import normalized_in_a_pass
from dwindle.pytorch.checks.normalized import (
    normalized_by_declaration,
    normalized_by_themselves,
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


def test_neighbours_of_a_container():
    """A convolution right before a BatchNorm of its size is found both ways."""
    both = {"0.weight", "3.weight"}
    assert declared(cnn()) == both
    assert flowing(cnn(), IMAGES) == both


def test_only_a_pass_knows_what_flows():
    """Declared the wrong way around: declaration sees nothing, a pass does."""
    assert declared(Unordered()) == set()
    assert flowing(Unordered(), torch.randn(2, 4)) == {"first.weight"}


def test_a_way_around_the_norm_keeps_the_size():
    """conv2 also feeds the sum: only a pass tells that its size matters."""
    assert declared(Residual()) == {"conv1.weight", "conv2.weight"}
    assert flowing(Residual(), IMAGES) == {"conv1.weight"}


def test_a_view_of_the_output_is_the_output():
    """Flattened and transposed, it is still the same numbers."""
    assert flowing(Reshaped(), IMAGES) == {"proj.weight"}


def test_an_output_that_was_written_into_is_another():
    """Between the layer and its norm something depended on the size."""
    assert flowing(Clamped(), torch.randn(2, 4)) == set()


def test_a_model_that_gives_the_output_away_keeps_the_size():
    """What is returned beside the norm depends on the size."""

    class Both(Clamped):
        def forward(self, x):
            y = self.proj(x)
            return {"hidden": y, "logits": self.norm(y)}

    assert flowing(Both(), torch.randn(2, 4)) == set()


def test_a_bias_that_stays_in_keeps_the_size():
    """LayerNorm subtracts one mean, not that of each unit: a bias has its own size."""
    with_bias = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    without = nn.Sequential(nn.Linear(4, 4, bias=False), nn.LayerNorm(4))
    assert declared(with_bias) == flowing(with_bias, torch.randn(2, 4)) == set()
    assert declared(without) == flowing(without, torch.randn(2, 4)) == {"0.weight"}
    subtracted = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    assert declared(subtracted) == {"0.weight"}


def test_a_frozen_batchnorm_divides_by_what_stays():
    """In evaluation mode inside of a training model it is a fixed scale."""
    model = cnn()
    model[1].eval()
    assert declared(model) == flowing(model, IMAGES) == {"3.weight"}
    assert declared(model.eval()) == {"0.weight", "3.weight"}


def test_other_sizes_and_lists_are_no_neighbours():
    """A norm of another width, and members of a ModuleList, are declared beside."""
    other = nn.Sequential(nn.Linear(4, 8, bias=False), nn.LayerNorm(4))
    listed = nn.ModuleList([nn.Linear(4, 4, bias=False), nn.LayerNorm(4)])
    assert declared(other) == declared(listed) == set()


def test_a_layer_used_twice_needs_the_norm_both_times():
    """One use that goes elsewhere is enough for the size to matter."""

    class Twice(Clamped):
        def forward(self, x):
            return self.norm(self.proj(x)) + self.proj(x).relu()

    assert flowing(Twice(), torch.randn(2, 4)) == set()


@pytest.mark.parametrize(
    ("wrap", "name"),
    [
        (nn.utils.parametrizations.weight_norm, "parametrizations.weight.original1"),
        (nn.utils.parametrizations.spectral_norm, "parametrizations.weight.original"),
    ],
)
def test_parametrized_by_their_own_size(wrap, name):
    """weight_norm and spectral_norm divide the stored weight by its size."""
    model = wrap(nn.Linear(4, 3))
    assert names_of(model, normalized_by_themselves(model)) == {name}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated")
def test_the_older_weight_norm():
    """The hook of torch.nn.utils.weight_norm keeps the direction as weight_v."""
    model = nn.utils.weight_norm(nn.Linear(4, 3))
    assert names_of(model, normalized_by_themselves(model)) == {"weight_v"}


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
    """What the model says is in the error, and how to write examples."""
    with pytest.raises(RangeError, match="example must be what Sequential can be call"):
        flowing(cnn(), torch.randn(2, 2))
