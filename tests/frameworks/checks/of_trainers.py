"""Checks of training frameworks: their own optimizers, or those that they build."""

from collections.abc import Callable, Iterator
from tempfile import TemporaryDirectory
from typing import Any

import torch
from frameworks.checks.check import (
    SMALL,
    Check,
    number_cancels,
    same_as_penalty,
    zero_gradient,
)
from frameworks.checks.partial import module
from frameworks.checks.torch_like import Factory, driven_by, left_of

from dwindle.decay.run import Run

_WIDER = 4  # times the base width of the muP checks


def composer(name: str, **options: Any) -> Factory:
    """One of Composer's two decoupled optimizers."""

    def build(parameters: list[Any], lr: float, number: float) -> Any:
        packages = ("composer", "composer.optim", "composer.utils")
        module("composer.utils.dist", *packages)
        optim = module("composer.optim.decoupled_weight_decay", *packages)
        return getattr(optim, name)(parameters, lr=lr, weight_decay=number, **options)

    return build


class _Fastai:
    """A fastai optimizer with the parameter groups that torch has."""

    def __init__(self, optimizer: Any, lr: float) -> None:
        self._optimizer = optimizer
        self.param_groups = [{"lr": lr}]

    def step(self) -> None:
        self._optimizer.set_hyper("lr", self.param_groups[0]["lr"])
        self._optimizer.step()


def fastai(name: str, *, decouple_wd: bool = True, **options: Any) -> Factory:
    """An optimizer of fastai."""

    def build(parameters: list[Any], lr: float, number: float) -> Any:
        kind = getattr(module("fastai.optimizer", "fastai"), name)
        optimizer = kind(
            parameters, lr=lr, wd=number, decouple_wd=decouple_wd, **options
        )
        return _Fastai(optimizer, lr)

    return build


def unit_scaling(parameters: list[Any], lr: float, number: float) -> Any:
    """AdamW of unit scaling on plain weights."""
    optim = module("unit_scaling.optim", "unit_scaling")
    return optim.AdamW(
        parameters, lr=lr, weight_decay=number, allow_non_unit_scaling_params=True
    )


def _mup(name: str, **options: Any) -> Callable[[float, Run], list[float]]:
    """A hidden matrix four times as wide as the base model has it."""

    def measure(number: float, run: Run) -> list[float]:
        import mup

        def net(width: int) -> Any:
            return torch.nn.Sequential(
                torch.nn.Linear(width, width, bias=False), mup.MuReadout(width, 2)
            ).double()

        model = net(2 * _WIDER)
        mup.set_base_shapes(model, net(2), delta=net(3))
        weight = next(model.parameters())
        with torch.no_grad():
            weight.copy_(torch.linspace(-3, 11, weight.numel()).reshape(weight.shape))
        start = weight.detach().clone()
        lr = float(run.require("lr", "It"))
        optimizer = getattr(mup, name)(
            model.parameters(), lr=lr, weight_decay=number, **options
        )
        peaks = [group["lr"] for group in optimizer.param_groups]
        for multiplier in run.multipliers():
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * multiplier
            for each in model.parameters():
                each.grad = torch.zeros_like(each)
            optimizer.step()
        return list((weight.detach() / start).flatten()[:4].tolist())

    return measure


def _transformers(number: float, run: Run) -> list[float]:
    """The optimizer that the Trainer builds by default, on its decaying group."""
    from transformers import Trainer, TrainingArguments

    with TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            learning_rate=float(run.require("lr", "It")),
            weight_decay=number,
            use_cpu=True,
            report_to=[],
        )
        model = torch.nn.Linear(2, 2).double()
        optimizer = Trainer(model=model, args=arguments).create_optimizer()
    start = model.weight.detach().clone()
    peak = float(run.require("lr", "It"))
    for multiplier in run.multipliers():
        for group in optimizer.param_groups:
            group["lr"] = peak * multiplier
        for each in model.parameters():
            each.grad = torch.zeros_like(each)
        optimizer.step()
    return list((model.weight.detach() / start).flatten().tolist())


_FACTORIES: dict[str, tuple[str, Factory]] = {
    "composer.optim.DecoupledSGDW": (
        "mosaicml",
        composer("DecoupledSGDW", momentum=0.9),
    ),
    "composer.optim.DecoupledAdamW": ("mosaicml", composer("DecoupledAdamW")),
    "fastai.optimizer.SGD": ("fastai", fastai("SGD", mom=0.9)),
    "fastai.optimizer.SGD:coupled": (
        "fastai",
        fastai("SGD", mom=0.9, decouple_wd=False),
    ),
    "fastai.optimizer.Adam": ("fastai", fastai("Adam")),
    "fastai.optimizer.RMSProp": ("fastai", fastai("RMSProp")),
    "unit_scaling.optim.AdamW": ("unit-scaling", unit_scaling),
}


def _checks() -> Iterator[Check]:
    for knob, (library, factory) in _FACTORIES.items():
        yield zero_gradient(knob, library, left_of(factory))
    sgd = _FACTORIES["fastai.optimizer.SGD:coupled"][1]
    yield same_as_penalty("fastai.optimizer.SGD:coupled", "fastai", driven_by(sgd))
    adam, knob = fastai("Adam", decouple_wd=False), "fastai.optimizer.Adam:coupled"
    yield same_as_penalty(knob, "fastai", driven_by(adam))
    yield number_cancels(knob, "fastai", left_of(adam), rel=0.2, why=SMALL)
    yield zero_gradient("mup.MuAdamW", "mup", _mup("MuAdamW"))
    yield zero_gradient("mup.MuSGD", "mup", _mup("MuSGD", momentum=0.9))
    yield number_cancels("mup.MuAdam", "mup", _mup("MuAdam"), rel=0.2, why=SMALL)
    yield zero_gradient("transformers.TrainingArguments", "transformers", _transformers)


CHECKS = tuple(_checks())
