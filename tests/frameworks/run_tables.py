"""The table of knobs beside what the installed libraries offer, by introspection."""

import importlib
import inspect
import math
from importlib.metadata import version

import numpy as np
import pytest
import torch
from frameworks.checks.of_keras import keras_module
from frameworks.checks.partial import module
from frameworks.checks.table import NOT_INSTALLED

from dwindle.decay.knobs import KNOBS

# Optimizers of optax with a weight decay that have no record, and why.
NO_RECORD = {
    "optax.novograd": "coupled after its division, with a separate momentum",
    "optax.contrib.cocob": "bets, not steps: it has no lr",
    "optax.contrib.dog": "estimates its lr from distances, coupled",
    "optax.contrib.dowg": "estimates its lr from distances, coupled",
    "optax.contrib.madgrad": "dual averaging: weights are computed anew",
    "optax.contrib.mechanize": "its number is no weight decay: s·‖g‖/‖w‖ times it",
    "optax.contrib.sophia": "needs a second derivative of the loss at every step",
}


def by_name(knob):
    """The thing that a record's name leads to."""
    path = knob.partition(":")[0]
    if knob.startswith("timm."):
        return module("timm.optim", "timm", "timm.models").create_optimizer_v2
    if knob.startswith("keras."):
        found, parts = keras_module(), path.split(".")[1:]
    elif knob.startswith(("composer.", "fastai.", "unit_scaling.")):
        package, _, name = path.partition(".")
        file = {
            "composer": "composer.optim.decoupled_weight_decay",
            "fastai": "fastai.optimizer",
            "unit_scaling": "unit_scaling.optim",
        }[package]
        module("composer.utils.dist", "composer", "composer.optim", "composer.utils")
        return getattr(module(file, package), name.rpartition(".")[2])
    else:
        first = path.split(".")[0]
        names = {"sklearn": path.rpartition(".")[0], "torch": "torch.optim"}
        where = names.get(first, first)
        if first == "bitsandbytes":
            where = "bitsandbytes.optim"
        found = importlib.import_module(where)
        parts = path.removeprefix(f"{where}.").split(".")
    for part in parts:
        found = getattr(found, part)
    return found


READABLE = [
    name
    for name, knob in KNOBS.items()
    if knob.default is not None
    and knob.library not in NOT_INSTALLED
    # mup takes what torch takes, by keyword; ElasticNet's number is a product.
    and not name.startswith("mup.")
    and not name.endswith("ElasticNet")
]


@pytest.mark.filterwarnings("default")
def test_the_default_is_that_of_the_installed_library():
    """The default of a record is that of the argument; None means no decay."""
    wrong = {}
    for name in READABLE:
        arguments = inspect.signature(by_name(name)).parameters
        default = arguments[KNOBS[name].symbol].default
        if not math.isclose(KNOBS[name].default, default or 0.0):
            wrong[name] = default
    assert wrong == {}


def test_every_optimizer_of_keras_has_a_record():
    """Every class of keras.optimizers that takes a weight_decay is in the table."""
    optimizers = keras_module().optimizers
    offered = {
        f"keras.optimizers.{name}"
        for name, kind in vars(optimizers).items()
        if inspect.isclass(kind)
        and name != "Optimizer"
        and "weight_decay" in inspect.signature(kind).parameters
    }
    assert offered <= set(KNOBS)


def test_every_optimizer_of_optax_has_a_record_or_a_reason():
    """Every function with a number for a decay is in the table or left out openly."""
    import optax

    offered = {
        f"{prefix}.{name}"
        for prefix, place in (("optax", optax), ("optax.contrib", optax.contrib))
        for name, function in vars(place).items()
        if inspect.isfunction(function)
        and name[0].islower()
        and not name.startswith("scale_by_")
        and {"weight_decay", "weight_decay_rate"}
        & set(inspect.signature(function).parameters)
    }
    named = {name.partition(":")[0] for name in KNOBS}
    assert offered - named == set(NO_RECORD)


def test_the_version_that_was_read_is_installed():
    """What was read is what runs here."""
    knobs = [knob for knob in KNOBS.values() if knob.library not in NOT_INSTALLED]
    read = dict(sorted(k.version.rsplit(" ", 1) for k in knobs if k.version))
    assert {name: version(name).partition("+")[0] for name in read} == read


def _net():
    """A net with biases, a LayerNorm, a norm of another name, and a vector."""
    net = torch.nn.Module()
    net.dense = torch.nn.Linear(3, 3)
    net.first = torch.nn.LayerNorm(3)
    net.ln_2 = torch.nn.RMSNorm(3)
    net.scale = torch.nn.Parameter(torch.ones(3))
    return net


def _decaying(net, groups):
    names = {id(weight): name for name, weight in net.named_parameters()}
    return {
        names[id(weight)]
        for group in groups
        if group["weight_decay"]
        for weight in group["params"]
    }


def test_what_the_trainer_of_transformers_skips(tmp_path):
    """Biases and LayerNorm do not decay; a norm by another name and a vector do."""
    from transformers import Trainer, TrainingArguments

    options = {"use_cpu": True, "report_to": [], "weight_decay": 0.1}
    arguments = TrainingArguments(output_dir=str(tmp_path), **options)
    net = _net()
    optimizer = Trainer(model=net, args=arguments).create_optimizer()
    decaying = {"dense.weight", "ln_2.weight", "scale"}
    assert _decaying(net, optimizer.param_groups) == decaying
    assert "norm in their names" in KNOBS["transformers.TrainingArguments"].skips


def test_what_timm_skips():
    """Given a model, timm lets nothing with one dimension decay."""
    net = _net()
    optimizer = by_name("timm.adamw")(net, opt="adamw", weight_decay=0.1)
    assert _decaying(net, optimizer.param_groups) == {"dense.weight"}
    assert "one dimension" in KNOBS["timm.adamw"].skips


@pytest.mark.parametrize("name", ["AdamW", "SGD"])
def test_what_torch_and_keras_do_not_skip(name):
    """Nothing is skipped by default: a vector decays as a matrix does."""
    vector = torch.ones(3, requires_grad=True)
    vector.grad = torch.zeros(3)
    getattr(torch.optim, name)([vector], lr=0.1, weight_decay=0.5).step()
    keras = keras_module()
    variable = keras.Variable(np.ones(3), name="bias")
    kind = getattr(keras.optimizers, name)
    kind(learning_rate=0.1, weight_decay=0.5).apply([np.zeros(3)], [variable])
    # 1e-6: torch's vector is in float32, as its default is.
    assert vector[0].item() == pytest.approx(0.95, rel=1e-6)
    assert float(variable.value[0]) == pytest.approx(0.95, rel=1e-6)


TWINS = {
    alias: name
    for name, knob in KNOBS.items()
    for alias in knob.aliases
    if alias.startswith("bitsandbytes.")
}


@pytest.mark.filterwarnings("default")
def test_a_twin_of_bitsandbytes_has_the_same_kernel_and_default():
    """8-bit, 32-bit and paged classes name the kernel of the record they stand for."""

    def built(name):
        kind = by_name(name)
        default = inspect.signature(kind).parameters["weight_decay"].default
        options = {"momentum": 0.9} if "SGD" in name else {}
        made = kind([torch.nn.Parameter(torch.ones(2))], lr=0.1, **options)
        return made.optimizer_name, default, made.param_groups[0]["weight_decay"]

    wrong = [alias for alias, name in TWINS.items() if built(alias) != built(name)]
    assert wrong == []


def test_every_class_of_bitsandbytes_with_a_record_has_its_twins():
    """No 8-bit, 32-bit or paged class of a recorded optimizer is unknown."""
    offered = {
        f"bitsandbytes.optim.{name}"
        for name, kind in vars(importlib.import_module("bitsandbytes.optim")).items()
        if inspect.isclass(kind)
    }
    known = {*TWINS, *KNOBS}
    left_out = {"GlobalOptimManager", "PytorchLARS", "LAMB", "LARS"}
    left_out |= {
        f"{name}{bits}" for name in ("LAMB", "LARS") for bits in ("8bit", "32bit")
    }
    assert {name.rpartition(".")[2] for name in offered - known} == left_out
