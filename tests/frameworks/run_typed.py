"""Classes and live optimizers of the installed libraries, given in place of a name."""

import pytest
import torch
from frameworks.checks.of_torch_libraries import factory
from frameworks.checks.of_trainers import composer
from frameworks.checks.partial import module
from frameworks.checks.table import NOT_INSTALLED
from frameworks.run_tables import TWINS, by_name
from tolerance import digits

from dwindle.decay.explain import explain
from dwindle.decay.knobs import KNOBS
from dwindle.decay.python_inputs import knob_name
from dwindle.errors import RefusedError

pytestmark = pytest.mark.filterwarnings("default")  # other people's deprecations

# Optimizers that are no separate class or function.
_BUILT_BY_OTHERS = ("timm.", "optax.add_", "transformers.", "unit_scaling.", "mup.")
NAMES = [
    name
    for name, knob in KNOBS.items()
    if knob.family is not None
    and knob.version
    and ":" not in name
    and knob.library not in NOT_INSTALLED
    and not name.startswith(_BUILT_BY_OTHERS)
    and name != "optax.nadamw"  # functools.partial of adamw, which has no name
]


def test_a_class_or_function_is_its_knob():
    """What a record's path leads to leads back to the record."""
    expected = {name: name for name in NAMES} | TWINS
    assert {name: knob_name(by_name(name)) for name in expected} == expected


def weights():
    return [torch.nn.Parameter(torch.ones(2, 2, dtype=torch.float64))]


LIVE = [
    ("optimi.AdamW", {}, ""),
    ("optimi.AdamW", {"decouple_lr": True}, ":decouple_lr"),
    ("optimi.Adam", {"decouple_wd": True}, ":decouple_wd"),
    ("optimi.SGD", {"momentum": 0.9}, ""),
    ("optimi.SGD", {"decouple_wd": True}, ":decouple_wd"),
    ("optimi.SGD", {"momentum": 0.9, "dampening": True}, ""),
    ("optimi.SGD", {"decouple_wd": True, "decouple_lr": True}, ":decouple_lr"),
    ("optimi.Lion", {"decouple_lr": True, "max_lr": 0.01}, ":decouple_lr"),
    ("optimi.StableAdamW", {}, ""),
    ("optimi.Adan", {}, ""),
    ("pytorch_optimizer.AdaBelief", {}, ""),
    ("pytorch_optimizer.AdaBelief", {"weight_decouple": False}, ":coupled"),
    ("pytorch_optimizer.Lion", {"fixed_decay": True}, ":fixed_decay"),
    ("pytorch_optimizer.Adan", {}, ""),
    ("pytorch_optimizer.SGDW", {"momentum": 0.9}, ""),
    ("pytorch_optimizer.Lamb", {}, ""),
    ("pytorch_optimizer.Prodigy", {}, ""),
    ("lion_pytorch.Lion", {}, ""),
    ("lion_pytorch.Lion", {"decoupled_weight_decay": True}, ":decoupled"),
    ("bitsandbytes.optim.AdamW", {}, ""),
    ("bitsandbytes.optim.SGD", {"momentum": 0.9}, ""),
    ("schedulefree.SGDScheduleFree", {}, ""),
]


@pytest.mark.parametrize(("kind", "options", "variant"), LIVE)
def test_a_live_optimizer_is_the_variant_that_its_options_make(kind, options, variant):
    """Options that make another rule of a class lead to that rule's record."""
    optimizer = factory(kind, **options)(weights(), 0.01, 0.1)
    assert explain(optimizer).knob == kind + variant
    assert explain(optimizer).value == digits(0.1, rel=1e-12)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("lion_pytorch.Lion", {}),
        ("lion_pytorch.Lion", {"decoupled_weight_decay": True}),
        ("optimi.AdamW", {"decouple_lr": True}),
        ("optimi.SGD", {"momentum": 0.9}),
        ("pytorch_optimizer.Lion", {"fixed_decay": True}),
    ],
)
def test_what_is_read_of_a_live_optimizer_is_what_its_steps_do(kind, options):
    """Forty steps with a zero gradient leave what its explanation predicts."""
    optimizer = factory(kind, **options)(weights(), 0.01, 0.1)
    found = explain(optimizer, run={"steps": 40})
    (weight,) = optimizer.param_groups[0]["params"]
    for _ in range(40):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
    assert weight[0, 0].item() == digits(found.kept, rel=1e-9)


def test_the_dampening_of_optimi_is_a_flag_of_its_own():
    """Its rate is that of a dampening equal to the momentum, and it names what is not.

    The first buffer of optimi is dampened too, so what a run leaves is another number.
    """
    options = {"momentum": 0.9, "dampening": True}
    optimizer = factory("optimi.SGD", **options)(weights(), 0.01, 0.1)
    found = explain(optimizer, run={"steps": 40})
    assert "first-step" in {caution.code for caution in found.warnings}
    (weight,) = optimizer.param_groups[0]["params"]
    sizes = []
    for _ in range(400):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
        sizes.append(weight[0, 0].item())
    assert 1 - sizes[-1] / sizes[-2] == digits(found.shrink_per_step, rel=1e-9)


def test_the_momentum_of_bitsandbytes_is_read_where_it_is():
    """bitsandbytes keeps the momentum of SGD as the first beta of a group."""
    optimizer = factory("bitsandbytes.optim.SGD", momentum=0.9)(weights(), 0.1, 5e-4)
    named = explain(5e-4, "torch.optim.SGD", run={"lr": 0.1, "momentum": 0.9})
    found = explain(optimizer)
    assert found.shrink_per_step == digits(named.shrink_per_step, rel=1e-12)


REFUSED = [
    ("pytorch_optimizer.Lion", {"weight_decouple": False}, "weight_decouple=False"),
    ("pytorch_optimizer.SGDW", {"weight_decouple": False}, "weight_decouple=False"),
    ("pytorch_optimizer.Lamb", {"fixed_decay": True}, "fixed_decay=True"),
    ("pytorch_optimizer.Prodigy", {"fixed_decay": True}, "fixed_decay=True"),
    ("pytorch_optimizer.ADOPT", {"weight_decouple": True}, "weight_decouple=True"),
    ("pytorch_optimizer.AdEMAMix", {"weight_decouple": True}, "weight_decouple=True"),
    ("pytorch_optimizer.Adan", {"weight_decouple": True}, "weight_decouple=True"),
    ("optimi.Adan", {"adam_wd": True}, "adam_wd=True"),
    ("optimi.StableAdamW", {"decouple_lr": True}, "decouple_lr=True"),
    ("optimi.AdamW", {"decouple_lr": True, "max_lr": 0.2}, "lr 0.1 .* by 0.2"),
    ("optimi.Lion", {"decouple_lr": True, "max_lr": 0.05}, "lr 0.1 .* by 0.05"),
    ("torch.optim.ASGD", {"lambd": 1e-3}, "lambd=0.001"),
    # With a fixed decay it is not the StableAdamW of that library.
    *(
        ("pytorch_optimizer.StableAdamW", {"fixed_decay": True}, message)
        for message in ("StableAdamW with", "fixed_decay=True")
    ),
]


@pytest.mark.parametrize(("kind", "options", "message"), REFUSED)
def test_an_option_without_a_record_is_refused_by_its_name(kind, options, message):
    """No number of the plain rule is given for a rule that nobody has read."""
    optimizer = factory(kind, **options)(weights(), 0.1, 0.1)
    with pytest.raises(RefusedError, match=message):
        explain(optimizer)


def test_an_optimizer_of_composer_and_those_of_timm():
    """timm's factory builds torch's own classes, and a Lion that it calls lionc."""
    assert explain(composer("DecoupledSGDW")(weights(), 0.01, 0.1)).knob == (
        "composer.optim.DecoupledSGDW"
    )
    timm = module("timm.optim", "timm", "timm.models")
    found = {
        name: explain(
            timm.create_optimizer_v2(weights(), opt=name, lr=0.1, weight_decay=1e-3)
        )
        for name in ("sgd", "lion", "lionc")
    }
    knobs = {name: each.knob for name, each in found.items()}
    assert knobs == {
        "sgd": "torch.optim.SGD",
        "lion": "timm.lion",
        "lionc": "timm.lionc",
    }
    named = explain(1e-3, "timm.sgd", run={"lr": 0.1})
    assert found["sgd"].shrink_per_step == digits(named.shrink_per_step, rel=1e-12)
