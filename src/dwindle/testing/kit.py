"""check_controller: whether a controller holds the decay of anybody's optimizer."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from dwindle.decay.half_life import shrink_from_half_life
from dwindle.decay.number_formats import rounded_half_life_steps
from dwindle.errors import CertificationError, RefusedError
from dwindle.pytorch.copying.copies import random_kept
from dwindle.pytorch.trials import are_float32
from dwindle.testing import scenarios
from dwindle.testing.certificate import Certificate, Check, LeftOut, Reach
from dwindle.testing.training import (
    HALF_LIFE_STEPS,
    CannotPlayError,
    Factory,
    KitTraining,
    Subject,
    as_one_line,
    one,
    zero,
)

# In float64 a promise is exact; float32 is what people train in; bfloat16 rounds it.
_BOTH = (torch.float64, torch.float32)
_FORMATS = (*_BOTH, torch.bfloat16)
_SINGLE = (torch.float32,)
_IN_16_BITS = (torch.bfloat16,)
# Half-lives in steps. bfloat16 keeps 8 binary digits, so 177 steps are its dead zone;
# between powers of two rounding is at its worst (100, 150 and 170).
TRIED: Mapping[torch.dtype, tuple[int, ...]] = {
    torch.bfloat16: (2, 5, 8, 16, 23, 32, 64, 100, 128, 150, 170, 256),
    torch.float32: (100, 1_000, 10_000, 100_000),
}
# 1 − s of 16 steps, to a multiple of 2^-8: that is off by up to 4.6 % of s.
_OF_FACTORS = 0.05
# A matrix, because Muon takes nothing else: 1,024 weights.
_SIDE = 32
# Of a longer half-life these steps already show the rate.
_MOST_STEPS = 256


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Something that happens in a training, in some formats, and what must hold."""

    play: Callable[[Subject], Iterator[Check]]
    dtypes: tuple[torch.dtype, ...] = _BOTH


def _held_in_16_bits(subject: Subject) -> Iterator[Check]:
    """A short half-life holds in bfloat16, whose rounding it hardly feels."""
    try:
        measured = _measured(subject, HALF_LIFE_STEPS)
    except RefusedError as error:
        raise CannotPlayError(" ".join(error.sentences()[:2])) from error
    yield Check(
        quantity="half-life",
        measured=measured,
        asked=HALF_LIFE_STEPS,
        error=abs(measured / HALF_LIFE_STEPS - 1),
        tolerance=_OF_FACTORS,
        why="some kernels round the factor 1 − s to 8 digits",
    )


SCENARIOS: Mapping[str, Scenario] = {
    **{name: Scenario(play=path.play) for name, path in scenarios.PATHS.items()},
    "undecayed group": Scenario(play=scenarios.undecayed, dtypes=_SINGLE),
    "gradients that are None": Scenario(play=scenarios.without_gradient),
    "gradient accumulation": Scenario(play=scenarios.accumulation),
    "the batch size changes": Scenario(play=scenarios.batch_size),
    "steps that GradScaler skips": Scenario(play=scenarios.skipped_steps),
    "driven, against decay by hand": Scenario(play=scenarios.as_by_hand),
    "driven, opposite weights": Scenario(
        play=scenarios.opposite_weights, dtypes=_SINGLE
    ),
    "undecayed group, driven": Scenario(
        play=scenarios.undecayed_beside_decayed, dtypes=_SINGLE
    ),
    "resumed at every step": Scenario(play=scenarios.resumed, dtypes=_SINGLE),
    "a half-life in bfloat16": Scenario(play=_held_in_16_bits, dtypes=_IN_16_BITS),
}


def check_controller(optimizer_factory: Factory) -> Certificate:
    """Check that a controller holds the weight decay of an optimizer, or raise.

    For authors of optimizers: one line in a test. Every scenario is played with small
    matrices on the CPU, in float64 and float32, and every decay is measured.

    Args:
        optimizer_factory: Builds the optimizer from a list of parameter groups, with an
            lr: a class, or ``lambda groups: Mine(groups, lr=0.1)``.

    Returns:
        The certificate: a table in a terminal, numbers in its fields.

    Raises:
        CertificationError: If a controller refuses the optimizer, or if any scenario
            failed; all of them are listed.

    Example:
        >>> import torch
        >>> certificate = check_controller(torch.optim.AdamW)
        >>> certificate.certified, certificate.mechanism
        (True, 'native')

    """
    certificate = certify(optimizer_factory)
    if not certificate.certified:
        failures = [str(check) for check in certificate.failures]
        refused = [f"refused: {certificate.refused}"] if certificate.refused else []
        raise CertificationError(
            optimizer=certificate.optimizer, failures=(*refused, *failures)
        )
    return certificate


def certify(optimizer_factory: Factory) -> Certificate:
    """Measure what a controller can promise about an optimizer; never raise for it.

    Args:
        optimizer_factory: As of :func:`check_controller`.

    Returns:
        The certificate, also of an optimizer that is refused or that fails.

    Example:
        >>> import torch
        >>> certify(torch.optim.ASGD).certified
        False

    """
    with random_kept(), _logger_silenced():
        whys = {dtype: _cannot_step(optimizer_factory, dtype) for dtype in _FORMATS}
        subjects = {
            dtype: Subject(factory=optimizer_factory, dtype=dtype)
            for dtype, why in whys.items()
            if not why
        }
        # bfloat16 alone shows too few digits of a decay.
        if not set(subjects) & set(_BOTH):
            return _refused(optimizer_factory, f"Alone it fails: {whys[_BOTH[-1]]}")
        try:
            held = KitTraining(subjects.get(torch.float32) or subjects[torch.float64])
        except RefusedError as error:
            return _refused(optimizer_factory, str(error))
        played = [
            found
            for name, scenario in SCENARIOS.items()
            for dtype in scenario.dtypes
            if dtype in subjects
            for found in play(name, subjects[dtype])
        ]
        return Certificate(
            optimizer=_class_of(held.optimizer),
            mechanism=" and ".join(sorted(set(held.controller.mechanisms))),
            checks=tuple(each for each in played if isinstance(each, Check)),
            left_out=(
                *(
                    LeftOut(scenario="every scenario", dtype=_name(dtype), why=why)
                    for dtype, why in whys.items()
                    if why
                ),
                *(each for each in played if isinstance(each, LeftOut)),
            ),
            reach=tuple(
                each
                for dtype in TRIED
                if dtype in subjects
                for each in _reach(subjects[dtype])
            ),
        )


@contextmanager
def _logger_silenced() -> Iterator[None]:
    """Let dozens of controllers be built without a line in the log for each."""
    log = logging.getLogger("dwindle")
    was, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = was


def _cannot_step(factory: Factory, dtype: torch.dtype) -> str:
    """Return why the optimizer alone cannot step with weights of a format, or ""."""
    try:
        training = KitTraining(Subject(factory=factory, dtype=dtype), alone=True)
        for gradient in (zero, one, zero):
            training.step(gradient)
        if are_float32(training.weights[0]):
            return "it computes in float32, also where the weights are in float64"
    except CannotPlayError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 an optimizer may raise anything
        return as_one_line(error)
    return ""


def play(name: str, subject: Subject) -> Iterator[Check | LeftOut]:
    """Play one scenario with an optimizer, in one number format."""
    dtype = _name(subject.dtype)
    try:
        for check in SCENARIOS[name].play(subject):
            yield replace(check, scenario=name, dtype=dtype)
    except CannotPlayError as error:
        yield LeftOut(scenario=name, dtype=dtype, why=str(error))
    except Exception as error:  # noqa: BLE001 any error is a finding
        yield Check(
            scenario=name,
            dtype=dtype,
            quantity="it runs",
            measured=math.nan,
            asked=1.0,
            error=math.nan,
            tolerance=0.0,
            why="the optimizer alone can do it",
            note=as_one_line(error),
        )


def _reach(subject: Subject) -> Iterator[Reach]:
    """Try every half-life of the format on 1,024 weights from 1 to 2."""
    # Rounding depends on the weight: their mean decay is compared, over one half-life
    # or 256 steps, whichever is shorter. In bfloat16 a single weight is known to 0.2 %
    # only.
    name = _name(subject.dtype)
    for half_life_steps in TRIED[subject.dtype]:
        shrink, refused = shrink_from_half_life(half_life_steps), ""
        rounded = rounded_half_life_steps(shrink, name, carries_residual=True)
        try:
            measured = _measured(subject, half_life_steps)
        except RefusedError as error:
            refused = " ".join(error.sentences()[:2])
        except Exception as error:  # noqa: BLE001 an optimizer may raise anything
            refused = as_one_line(error)
        yield Reach(
            dtype=name,
            asked_steps=half_life_steps,
            rounded_steps=rounded if math.isfinite(rounded) else None,
            measured_steps=None if refused else measured,
            refused=refused or None,
        )


def _measured(subject: Subject, half_life_steps: int) -> float:
    # Even in their logarithms, as a decay passes through them.
    exponents = torch.arange(_SIDE**2, dtype=torch.float64) / _SIDE**2
    values = (2**exponents).reshape(_SIDE, _SIDE).to(subject.dtype)
    training = KitTraining(
        subject,
        weights=[[torch.nn.Parameter(values)]],
        half_life=f"{half_life_steps} steps",
    )
    steps = min(half_life_steps, _MOST_STEPS)
    for _ in range(steps):
        training.step(zero)
    e_folds = float(training.e_folds(0).mean())
    return steps * math.log(2) / e_folds if e_folds else math.inf


def _refused(factory: Factory, why: str) -> Certificate:
    try:
        alone = Subject(factory=factory, dtype=torch.float32)
        name = _class_of(alone.build([{"params": alone.weights(0)}]))
    except CannotPlayError:
        name = getattr(factory, "__qualname__", str(factory))
    return Certificate(optimizer=name, refused=why)


def _class_of(optimizer: torch.optim.Optimizer) -> str:
    kind = type(optimizer)
    return f"{kind.__module__}.{kind.__qualname__}"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
