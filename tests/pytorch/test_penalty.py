"""L2Penalty: the term in every convention, its gradient, and whose weights it holds."""

import math
from types import SimpleNamespace

import pytest
import torch
from tolerance import digits
from torch import nn

from dwindle import Run, convert, knobs
from dwindle.errors import (
    MissingFactError,
    PatternError,
    RangeError,
    RefusedError,
    UnknownNameError,
)
from dwindle.pytorch import L2Penalty
from dwindle.pytorch.penalized import squares
from dwindle.pytorch.penalized.squares import weighted_squares

# Sums of a few dozen float64 products, taken in another order.
ROUNDING = 1e-14
B, N, X = 4, 60, 0.3


@pytest.fixture(autouse=True)
def _double():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def net():
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.LayerNorm(5), nn.Linear(5, 2))


def squared(tensor):
    return sum(value**2 for value in tensor.detach().flatten().tolist())


def test_the_gradient_is_right():
    """Against finite differences, twice; also of zeros and of complex numbers."""
    tensors = (
        torch.randn(3, 4, requires_grad=True),
        torch.zeros(5, requires_grad=True),
        torch.randn(2, 2, dtype=torch.complex128, requires_grad=True),
    )

    def term(*given):
        return weighted_squares(given, [1.0, 0.5, 2.0])

    assert torch.autograd.gradcheck(term, tensors)
    assert torch.autograd.gradgradcheck(term, tensors)


# The formulas of the question, of papers and of libraries, written out by hand:
# (convention, reduction of the loss, factor on the squares of layers of 15 and 10).
BY_HAND = [
    ("question.l2", "mean", X, X),
    ("question.l2", "sum", B * X, B * X),
    ("question.l2:layer-mean", "mean", X / (2 * 15), X / (2 * 10)),
    ("question.l2:global-mean", "mean", X / 25, X / 25),
    ("answer.decay", "mean", X / 2, X / 2),
    ("answer.batch-sum", "sum", X, X),
    ("answer.batch-sum", "mean", X / B, X / B),
    ("bengio2012.l2", "sum", X * B / N, X * B / N),
    ("bengio2012.l2", "mean", X / N, X / N),
    ("mackay1992.alpha", "mean", X / (2 * N), X / (2 * N)),
    ("gaussian-prior.sigma", "mean", 1 / (2 * X**2 * N), 1 / (2 * X**2 * N)),
    ("neal1996.omega", "mean", 3 / (2 * X**2 * N), 5 / (2 * X**2 * N)),
    ("keras.regularizers.L2", "mean", X, X),
    ("torch.optim.SGD", "mean", X / 2, X / 2),
    ("canonical", "mean", X / 2, X / 2),
    ("half-batch-sum", "sum", X / 2, X / 2),
    ("sklearn.linear_model.LogisticRegression:C", "mean", 1 / (2 * X * N),
     1 / (2 * X * N)),
]  # fmt: skip


def test_a_convention_is_the_formula_that_people_write():
    """The term is the formula, number by number, for both reductions of the loss."""
    for convention, reduction, first, second in BY_HAND:
        model = net()
        penalty = L2Penalty(
            model,
            X,
            convention=convention,
            reduction=reduction,
            batch_size=B,
            dataset_size=N,
        )
        expected = first * squared(model[0].weight) + second * squared(model[3].weight)
        assert penalty().item() == digits(expected, rel=ROUNDING), convention
        penalty().backward()
        for layer, factor in ((model[0], first), (model[3], second)):
            gradient = 2 * factor * layer.weight.detach()
            found = layer.weight.grad
            assert torch.allclose(found, gradient, rtol=ROUNDING, atol=0), convention


def test_every_knob_that_is_a_penalty_agrees_with_convert():
    """The factor is half of the canonical λ that convert gives for the knob."""
    run = Run(batch_size=B, dataset_size=N, units=(3, 5, 2), lr=0.1)
    sizes = {"batch_size": B, "dataset_size": N}
    wrong = {}
    for knob in knobs():
        if knob.penalty is None:
            continue
        penalty = L2Penalty(net(), X, convention=knob.name, **sizes)
        found = convert(X, knob.name, to="answer.decay", run=run)
        layers = [each.value for each in found.layers] or [found.value] * 2
        ours = [2 * penalty.factor() * c for c in penalty.coefficients.values()]
        if ours != digits(layers, rel=ROUNDING):
            wrong[knob.name] = (ours, layers)
    assert wrong == {}


def test_only_weights_are_penalized_by_default():
    """Biases and gains are left out; patterns and embeddings are as in decay_groups."""
    model = nn.ModuleDict({"wte": nn.Embedding(4, 3), "net": net()})
    weights, some = ["net.0.weight", "net.3.weight"], ["net.2.weight", "net.2.bias"]
    for options, names in (
        ({}, weights),
        ({"embeddings": True}, ["wte.weight", *weights]),
        ({"decay": "net.2.*", "no_decay": ["net.0.*"]}, [*some, "net.3.weight"]),
    ):
        assert list(L2Penalty(model, X, **options).parameters) == names
    with pytest.raises(PatternError) as caught:
        L2Penalty(model, X, no_decay="net.0.wieght")
    assert caught.value.argument == "no_decay"


def _tied():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    return model


def _older():
    layer = nn.utils.weight_norm(nn.Linear(3, 4))
    layer(torch.ones(1, 3))
    return layer


WAYS = nn.utils.parametrizations
COMPUTED = {  # by a layer, from other numbers
    "weight_norm": lambda: WAYS.weight_norm(nn.Linear(3, 3)),
    "orthogonal": lambda: WAYS.orthogonal(nn.Linear(3, 3)),
    "spectral_norm": lambda: WAYS.spectral_norm(nn.Linear(3, 3)).eval(),
    "the older weight_norm": _older,
    "tied": _tied,
}


@pytest.mark.filterwarnings("ignore:`?torch.nn.utils.weight_norm:FutureWarning")
def test_the_weight_that_a_layer_computes_is_penalized_once():
    """Σ w² is that of the matrix which the layer multiplies by, and so its gradient."""
    for name, build in COMPUTED.items():
        model = build()
        layer, penalty = (model[0] if name == "tied" else model), L2Penalty(model, X)
        expected = X * squared(layer.weight)
        assert penalty().item() == digits(expected, rel=ROUNDING), name
        if name in ("tied", "the older weight_norm"):
            continue
        gradients = []
        for term in (penalty(), X * layer.weight.square().sum()):
            layer.zero_grad()
            term.backward()
            found = [each.grad for each in layer.parameters()]
            gradients.append([torch.zeros(()) if g is None else g for g in found])
        for ours, whole in zip(*gradients, strict=True):
            # A longer chain of products.
            assert torch.allclose(ours, whole, rtol=1e-10, atol=1e-12), name


class _Symmetric(nn.Module):
    def forward(self, square):
        return square.triu() + square.triu(1).T


def test_a_tied_weight_is_penalized_as_its_first_layer_computes_it():
    """Two layers share nine numbers, and one of them makes its weight symmetric."""
    for symmetric in (0, 1):
        model = _tied()
        shared = model[0].weight
        nn.utils.parametrize.register_parametrization(
            model[symmetric], "weight", _Symmetric()
        )
        first = [[1, 2, 2], [0, 1, 2], [0, 0, 1]] if symmetric == 0 else [[1] * 3] * 3
        times = torch.tensor(first, dtype=torch.float64)  # how often it is an entry
        penalty = L2Penalty(model, X)()
        expected = X * squared(times.sqrt() * shared)
        assert penalty.item() == digits(expected, rel=ROUNDING)
        penalty.backward()
        gradient = 2 * X * times * shared.detach()
        assert torch.allclose(shared.grad, gradient, rtol=ROUNDING, atol=0)


def test_what_is_frozen_counts_no_more_and_what_is_unfrozen_counts_again():
    """In the sum, the means and the gradient: of the weights that are trained now."""
    model = net()
    first, last = model[0].weight, model[3].weight
    model[0].requires_grad_(requires_grad=False)
    penalty = L2Penalty(model, X, normalization="layer-mean")
    for trained in (False, True, False):
        model.zero_grad()
        model[0].requires_grad_(requires_grad=trained)
        factors = {"0.weight": 1 / 30, "3.weight": 1 / 20}
        factors = factors if trained else {"3.weight": 1 / 10}  # a mean over one layer
        assert penalty.coefficients == digits(factors, rel=ROUNDING)
        expected = X * factors["3.weight"] * squared(last)
        expected += X * factors.get("0.weight", 0) * squared(first)
        assert penalty().item() == digits(expected, rel=ROUNDING)
        penalty().backward()
        assert (first.grad is not None) == trained
        gradient = 2 * X * factors["3.weight"] * last.detach()
        assert torch.allclose(last.grad, gradient, rtol=ROUNDING, atol=0)
    model.requires_grad_(requires_grad=False)
    assert (penalty().item(), penalty.parameters) == (0, {})


def test_a_head_that_is_replaced_is_the_one_that_counts():
    """So is a new parameter, one loaded by assignment, and one parametrized later."""
    for wrap in (lambda it: it, nn.DataParallel):
        model = net()
        penalty = L2Penalty(wrap(model), X)
        penalty()
        old, model[3] = model[3], nn.Linear(5, 7)
        expected = X * (squared(model[0].weight) + squared(model[3].weight))
        assert penalty().item() == digits(expected, rel=ROUNDING)
        penalty().backward()
        assert old.weight.grad is None
        assert model[3].weight.grad is not None
        model[3].weight = nn.Parameter(torch.ones(7, 5))
        expected = X * (squared(model[0].weight) + 35)
        assert penalty().item() == digits(expected, rel=ROUNDING)
        ones = {name: torch.ones_like(p) for name, p in model.state_dict().items()}
        model.load_state_dict(ones, assign=True)
        assert penalty().item() == digits(X * (15 + 35), rel=ROUNDING)
        nn.utils.parametrizations.weight_norm(model[0])
        model[0].parametrizations.weight.original0.data.mul_(3)
        assert penalty().item() == digits(X * (9 * 15 + 35), rel=ROUNDING)
        model.append(nn.Linear(7, 1))
        assert len(penalty.parameters) == 3


def test_low_precision_weights_are_summed_in_float32():
    """The value is right to 5e-7, the gradient is the exact one, rounded once."""
    for dtype in (torch.bfloat16, torch.float16):
        weight = torch.randn(300, 300).to(dtype).requires_grad_()
        term = weighted_squares([weight], [0.3])
        term.backward()
        exact = weight.detach().double()
        assert term.dtype == torch.float32
        assert term.item() == digits(0.3 * exact.square().sum().item(), rel=5e-7)
        # 0.6 itself is rounded to float32 first: one number in ten thousand is beside.
        factor = torch.tensor(0.6, dtype=torch.float32).double()
        rounded = (exact * factor).to(dtype)
        assert (weight.grad == rounded).double().mean() > 0.999


def test_millions_of_float32_numbers_keep_their_digits():
    """Ten million squares of float32: torch's own norm loses 7e-4 on a CPU."""
    weight = torch.randn(10_000_000, dtype=torch.float32)
    exact = weight.double().square().sum().item()
    assert weighted_squares([weight], [1.0]).item() == digits(
        exact, rel=5e-7
    )  # of float32


def test_both_ways_to_sum_agree(monkeypatch):
    """The way of accelerators, run here on a CPU, gives the sum of the way of CPUs."""
    for dtype in (torch.bfloat16, torch.float32, torch.complex64):
        tensors = [torch.randn(20, 30).to(dtype), torch.zeros(3).to(dtype)]
        on_cpu = squares._squares(tensors).item()
        with monkeypatch.context() as patch:
            elsewhere = property(lambda _: SimpleNamespace(type="elsewhere"))
            patch.setattr(torch.Tensor, "device", elsewhere)
            by_foreach = squares._squares(tensors).item()
        # Some hundred float32 numbers, added in another order.
        assert by_foreach == digits(on_cpu, rel=1e-5), dtype


def test_autocast_and_no_grad_change_nothing():
    """Under autocast the term stays float32; without gradient it is a number."""
    model = net().float()
    penalty = L2Penalty(model, X)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = penalty()
    with torch.no_grad():
        bare = penalty()
    assert inside.dtype == torch.float32
    assert inside.item() == bare.item() == penalty().item()
    assert not bare.requires_grad


def test_the_strength_can_be_scheduled():
    """Setting it changes the next term; its range is kept. So can the batch size."""
    penalty = L2Penalty(net(), X, reduction="sum")
    before = penalty(batch_size=1).item()
    for size in (4, 2):  # a short last batch
        assert penalty(batch_size=size).item() == digits(size * before, rel=ROUNDING)
    penalty.batch_size = 1
    penalty.strength = 2 * X
    assert penalty().item() == digits(2 * before, rel=ROUNDING)
    penalty.strength = 0
    assert penalty().item() == 0
    with pytest.raises(RangeError) as caught:
        penalty.strength = -1.0
    assert caught.value.name == "strength"


# The warning is torch's about torch: its compiler makes an instance of a Function.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_a_compiled_loss_has_the_same_gradient():
    """Inside of a compiled function the term is traced without a break."""
    model = net()
    penalty = L2Penalty(model, X)
    compiled = torch.compile(penalty, backend="aot_eager", fullgraph=True)
    compiled().backward()
    found = [p.grad.clone() for p in penalty.parameters.values()]
    model.zero_grad()
    penalty().backward()
    for ours, eager in zip(found, penalty.parameters.values(), strict=True):
        assert torch.equal(ours, eager.grad)


def test_a_missing_size_is_reported():
    """A formula that needs N or B names it, and where to give it."""
    for fact, options in {
        "dataset_size": {"convention": "bengio2012.l2"},
        "batch_size": {"reduction": "sum"},
    }.items():
        with pytest.raises(MissingFactError) as caught:
            L2Penalty(net(), X, **options)()
        assert caught.value.fact == fact
    assert L2Penalty(net(), X, convention="batch-sum", reduction="sum").factor() == X


def test_what_makes_no_sense_is_refused():
    """Each impossible argument is an error of its kind, with the argument in it."""
    knob = "torch.optim.AdamW"
    for error, fact, options in [
        (RangeError, "strength", {"strength": math.inf}),
        (RangeError, "strength", {"strength": "1e-3"}),
        (RangeError, "strength", {"strength": 0, "convention": "prior"}),
        (RangeError, "normalization", {"convention": MEAN, "normalization": "fan-in"}),
        (RangeError, "model", {"no_decay": "*"}),
        (RefusedError, f"{NUMBER} {knob}", {"convention": knob}),
        (RefusedError, f"{NUMBER} half-life", {"convention": "half-life"}),
        (UnknownNameError, "question.l3", {"convention": "question.l3"}),
        (UnknownNameError, "layermean", {"normalization": "layermean"}),
        (UnknownNameError, "average", {"reduction": "average"}),
    ]:
        with pytest.raises(error) as caught:
            L2Penalty(net(), **{"strength": X, **options})
        facts = vars(caught.value)
        assert fact in facts.values(), facts


MEAN, NUMBER = "question.l2:layer-mean", "L2Penalty with the number of"
