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
from dwindle.decay.typed import knob_name
from dwindle.errors import UnknownNameError

pytestmark = pytest.mark.filterwarnings("default")  # other people's deprecations

# Optimizers that are no class or function of their own.
_BUILT_BY_OTHERS = ("timm.", "optax.add_", "transformers.", "unit_scaling.", "mup.")
NAMES = [
    name
    for name, knob in KNOBS.items()
    if knob.family is not None
    and knob.version
    and ":" not in name
    and knob.library not in NOT_INSTALLED
    and not name.startswith(_BUILT_BY_OTHERS)
    and name != "optax.nadamw"  # functools.partial of adamw, which tells no name
]


@pytest.mark.parametrize("name", [*NAMES, *TWINS])
def test_a_class_or_function_is_its_knob(name):
    """What a record's path leads to leads back to the record."""
    assert knob_name(by_name(name)) == TWINS.get(name, name)


def weights():
    return [torch.nn.Parameter(torch.ones(2, 2, dtype=torch.float64))]


LIVE = [
    ("optimi.AdamW", {}, "optimi.AdamW"),
    ("optimi.AdamW", {"decouple_lr": True}, "optimi.AdamW:decouple_lr"),
    ("optimi.Adam", {"decouple_wd": True}, "optimi.Adam:decouple_wd"),
    ("optimi.SGD", {"momentum": 0.9}, "optimi.SGD"),
    ("pytorch_optimizer.AdaBelief", {}, "pytorch_optimizer.AdaBelief"),
    (
        "pytorch_optimizer.AdaBelief",
        {"weight_decouple": False},
        "pytorch_optimizer.AdaBelief:coupled",
    ),
    (
        "pytorch_optimizer.Lion",
        {"fixed_decay": True},
        "pytorch_optimizer.Lion:fixed_decay",
    ),
    ("lion_pytorch.Lion", {}, "lion_pytorch.Lion"),
]


@pytest.mark.parametrize(("kind", "options", "name"), LIVE)
def test_a_live_optimizer_is_the_variant_that_its_options_make(kind, options, name):
    """Options that make another rule of a class lead to that rule's record."""
    optimizer = factory(kind, **options)(weights(), 0.01, 0.1)
    assert explain(optimizer).knob == name
    assert explain(optimizer).value == digits(0.1, rel=1e-12)


def test_an_optimizer_of_composer_and_one_of_timm():
    """composer's decoupled SGD is known; timm's factory builds torch's own classes."""
    assert explain(composer("DecoupledSGDW")(weights(), 0.01, 0.1)).knob == (
        "composer.optim.DecoupledSGDW"
    )
    timm = module("timm.optim", "timm", "timm.models")
    built = timm.create_optimizer_v2(weights(), opt="sgd", lr=0.1, weight_decay=1e-3)
    there = explain(built)
    assert there.knob == "torch.optim.SGD"
    named = explain(1e-3, "timm.sgd", run={"lr": 0.1})
    assert there.shrink_per_step == digits(named.shrink_per_step, rel=1e-12)


def test_a_corrected_decay_is_timms_own_name():
    """timm's corrected Lion decays with the square of the lr: timm.lionc."""
    timm = module("timm.optim", "timm", "timm.models")
    for name in ("lion", "lionc"):
        built = timm.create_optimizer_v2(weights(), opt=name, lr=0.1, weight_decay=0.1)
        assert explain(built).knob == f"timm.{name}"


def test_a_rule_without_a_record_is_refused():
    """pytorch_optimizer's StableAdamW with a fixed decay is not its StableAdamW."""
    name = "pytorch_optimizer.StableAdamW"
    built = factory(name, fixed_decay=True)(weights(), 0.1, 0.1)
    with pytest.raises(UnknownNameError, match=rf"{name}:fixed_decay"):
        explain(built)
