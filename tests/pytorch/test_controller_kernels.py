"""A held weight goes its path in every kernel: foreach, fused, compiled, under AMP."""

from functools import partial

import pytest
import torch
from pytorch.held_path import TOLERANCES, Path, off, step_at_rest, weight_of, worst_off
from quick import combined
from tolerance import digits
from torch.optim import SGD, Adam, AdamW, lr_scheduler

from dwindle.errors import RefusedError
from dwindle.pytorch import DecayController
from dwindle.pytorch.holding.hold import multiply

pytestmark = pytest.mark.usefixtures("quiet")

LR = 0.1
FORMS = {
    "AdamW, loop": partial(AdamW, foreach=False),
    "AdamW, foreach": partial(AdamW, foreach=True),
    "AdamW, fused": partial(AdamW, fused=True),
    "SGD, loop": partial(SGD, momentum=0.9, foreach=False),
    "SGD, foreach": partial(SGD, momentum=0.9, foreach=True),
    "SGD, fused": partial(SGD, momentum=0.9, fused=True),
    "Adam, fused": partial(Adam, fused=True, weight_decay=0.1),
}


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_an_optimizer(form, dtype):
    """Loop, foreach and fused kernels decay alike, along a falling lr."""
    weight = weight_of(dtype)
    optimizer = FORMS[form]([weight], lr=LR)
    falling = lr_scheduler.CosineAnnealingLR(optimizer, T_max=60)
    DecayController(optimizer, half_life="20 steps")
    path = Path(20, "follow-lr", LR)
    worst = worst_off(optimizer, weight, path, 60, after=falling.step)
    assert worst <= TOLERANCES[dtype]


@pytest.mark.parametrize(
    "dtype",
    [
        torch.float64, torch.float32, torch.bfloat16, torch.float16,
        torch.complex64, torch.complex128,
    ],
    ids=str,
)  # fmt: skip
def test_the_quick_way_to_multiply_is_the_same_product(dtype):
    """A CPU multiplies weights by a tensor of one number: bit by bit the same."""
    # The factors are those that a controller uses: the format can write them.
    torch.manual_seed(0)
    weights = [torch.nn.Parameter(torch.randn(999).to(dtype)) for _ in range(3)]
    weights += [torch.nn.Parameter(torch.tensor(0.3, dtype=dtype))]  # CLIP has such
    resting = torch.nn.Parameter(torch.ones(3, dtype=dtype))
    if dtype == torch.float16:  # two formats in one group
        weights += [torch.nn.Parameter(torch.randn(9))]
    for factor in (1 - 2.0**-7, 1 - 2.0**-24, 0.987654321, 0.5):
        kept = torch.tensor(factor, dtype=dtype).real.item()
        expected = [each.detach() * kept for each in weights]
        for each in weights:
            each.grad = torch.zeros_like(each)
        multiply([*weights, resting], kept)
        assert all(map(torch.equal, weights, expected))
    assert torch.equal(resting, torch.ones(3, dtype=dtype))


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_an_lr_that_is_a_tensor(dtype, fused):
    """Schedulers change it in place; torch then computes 1 - lr·knob in its format."""
    weight = weight_of(dtype)
    optimizer = AdamW([weight], lr=torch.tensor(LR), fused=fused)
    falling = lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
    held = DecayController(optimizer, half_life="20 steps")
    path = Path(20, "follow-lr", float(torch.tensor(LR)))
    worst = worst_off(optimizer, weight, path, 40, after=falling.step)
    assert held.mechanisms == ("native",)
    assert worst <= 1e-6  # float32 digits, in any format of the weight


def _of_the_step(optimizer):
    return torch.compile(optimizer.step, backend="eager")


def _of_a_function(optimizer):
    def train():
        optimizer.step()

    return torch.compile(train, backend="eager")


# Torch compiles with parts that it has deprecated itself.
_DEPRECATED = "ignore:.*torch.jit.script_method:DeprecationWarning"


@pytest.mark.filterwarnings(_DEPRECATED)
@combined(
    "form compiled",
    ["AdamW, loop", "SGD, foreach", "AdamW, foreach"],
    [_of_the_step, _of_a_function],
    one_in=2,
)
def test_a_compiled_step_bakes_no_number_in(form, compiled):
    """The hooks stay outside of the graph, and the knob enters it as a number."""
    torch.compiler.reset()
    weight = weight_of()
    optimizer = FORMS[form]([weight], lr=LR)
    falling = lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    DecayController(optimizer, half_life="20 steps")
    path, step = Path(20, "follow-lr", LR), compiled(optimizer)
    for _ in range(20):
        kept = path.step(optimizer.param_groups[0]["lr"])
        weight.grad = torch.zeros_like(weight)
        step()
        falling.step()
        assert off(weight, kept) <= TOLERANCES[torch.float64]


@pytest.mark.filterwarnings(_DEPRECATED)
def test_a_changing_knob_is_not_compiled_anew_each_time():
    """The second value makes the knob a symbol; the 18 after it need no new graph."""
    torch.compiler.reset()
    weight = weight_of()
    optimizer = AdamW([weight], lr=LR, foreach=False)
    DecayController(optimizer, half_life="20 steps")
    graphs = []

    def counting(graph, _):
        graphs.append(graph)
        return graph.forward

    step = torch.compile(optimizer.step, backend=counting)
    for at in range(20):
        optimizer.param_groups[0]["lr"] = LR / (1 + at)
        weight.grad = torch.zeros_like(weight)
        step()
    assert len(graphs) <= 4  # state is made, numbers become symbols, then no more


@pytest.mark.filterwarnings(_DEPRECATED)
def test_a_step_that_must_be_one_graph_is_refused():
    """With fullgraph=True torch refuses, and gives our reason."""
    torch.compiler.reset()
    weight = weight_of()
    optimizer = AdamW([weight], lr=LR)
    DecayController(optimizer, half_life="20 steps")
    weight.grad = torch.zeros_like(weight)
    step = torch.compile(optimizer.step, backend="eager", fullgraph=True)
    reason = "a new number each time; compile without fullgraph"
    with pytest.raises(torch._dynamo.exc.Unsupported, match=reason):
        step()


def test_a_captured_graph_is_refused(monkeypatch):
    """While a CUDA graph is captured, a step would bake its decay in."""
    # There is no GPU here: what torch reports of the stream is imitated.
    weight = weight_of()
    optimizer = AdamW([weight], lr=LR)
    held = DecayController(optimizer, half_life="20 steps")
    held._hold._on_cuda = True
    held._peaks_are_open = False
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with pytest.raises(RefusedError, match=r"CUDA graph.*step\(\) outside"):
        step_at_rest(optimizer, weight)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    step_at_rest(optimizer, weight)
    assert held.e_folds[0] == digits(0.03465735902799726, rel=1e-12)
