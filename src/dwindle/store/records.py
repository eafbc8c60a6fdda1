"""A training as plain data: what was trained, what came out, in what conditions.

A store holds studies of two kinds: of the built-in problems, whose records stand here,
and of a user's own training (:mod:`dwindle.finding.records`). What both kinds must give
for the same file are the protocols below.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Final, Literal, Protocol

from dwindle.plain import Plain, from_plain

Status = Literal["ok", "diverged", "error"]
# Which split into pool and validation set a training has: its seed's own, or that one
# of this number for all seeds.
PER_SEED: Final = "per seed"
Split = int | Literal["per seed"]
# Name, what is in the store, what holds now.
Difference = tuple[str, str, str]


class Comparable(Protocol):
    """Conditions of trainings: unlike ones are never pooled."""

    def as_dict(self) -> dict[str, Any]:  # JSON-like
        """Return them as JSON has them."""

    def key_of(self, trial: Any) -> str:  # a trial of the same kind of study
        """Return the hash under which a training is stored."""

    def differences(self, there: dict[str, Any]) -> tuple[Difference, ...]:
        """Return in what the conditions of a store (as a dict) are others."""


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """An optimizer with everything but the learning rate and the decay.

    ``betas`` and ``eps`` are for the Adam family, ``momentum``, ``dampening`` and
    ``nesterov`` to SGD. ``warmup`` is the share of the steps that the lr rises,
    ``final_lr`` the fraction of the peak that a decaying schedule ends at.
    """

    name: Literal["sgd", "adamw", "adam"]
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    schedule: str = "constant"
    warmup: float = 0.0
    final_lr: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The quantities of scale of one cell: everything that a study may vary.

    ``depth`` counts hidden layers; ``epochs`` may be a fraction (a cell that holds
    the steps of the base cell); ``lr`` is the peak.
    """

    width: int
    depth: int
    batch_size: int
    dataset_size: int
    epochs: float
    lr: float

    @property
    def steps_per_epoch(self) -> int:
        """Updates in an epoch; a short last batch is an update too."""
        return -(-self.dataset_size // self.batch_size)

    @property
    def steps(self) -> int:
        """Updates in the whole run, at least one."""
        return max(1, round(self.epochs * self.steps_per_epoch))


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training. ``weight_decay`` is the canonical λ before normalization."""

    problem: str
    optimizer: Optimizer
    scale: Scale
    normalization: str
    weight_decay: float
    seed: int
    split: Split = PER_SEED

    @property
    def split_seed(self) -> int:
        """The seed that the split into pool and validation set is drawn from."""
        return self.seed if isinstance(self.split, str) else self.split


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a training ended with.

    ``loss`` and ``train_loss`` are mean cross-entropies after the last step,
    ``accuracy`` the share of validation samples that are right, ``sum_of_squares`` Σ w²
    over decayed weights, ``penalty`` the whole penalty term of the objective with its
    normalization, ``layer_rms`` the root mean square weight per layer. They are None
    unless ``status`` is ``"ok"``; a diverged training keeps its step and the last
    finite training loss of a batch, an erroneous one its text.
    """

    status: Status
    steps: int
    seconds: float
    loss: float | None = None
    accuracy: float | None = None
    train_loss: float | None = None
    sum_of_squares: float | None = None
    penalty: float | None = None
    layer_rms: tuple[float, ...] = ()
    diverged_at_step: int | None = None
    last_finite_loss: float | None = None
    error: str | None = None

    def is_untrained(self, chance: float) -> bool:
        """Whether a training ended, but at :func:`chance_loss` on its training set."""
        ended = self.status == "ok" and self.train_loss is not None
        return ended and (self.train_loss or 0.0) >= chance


def chance_loss(classes: int, dataset_size: float) -> float:
    """Return the training loss from which a network counts as not trained.

    A dead network still has its last biases, which learn how frequent each class is.
    That takes ``(classes - 1) / (2 N)`` off ln(classes) on average, for the frequencies
    in N samples are uneven by chance; twice as much is allowed for.
    """
    return math.log(classes) - (classes - 1) / dataset_size


@dataclass(frozen=True, kw_only=True)
class ProblemFacts(Plain):
    """What a store keeps of a problem: enough to derive the networks trained on it.

    Without ``hidden`` layers every scale is one layer. With ``layer_norm`` hidden
    layers are normalized before their ReLU. ``validation_samples`` is None in stores
    from before each seed drew its own.
    """

    inputs: int
    classes: int
    hidden: bool
    validation_samples: int | None = None
    layer_norm: bool = False

    def layer_shapes(self, scale: Scale) -> tuple[tuple[int, int], ...]:
        """Return (fan_in, fan_out) of every weight matrix of the network of a scale."""
        depth = scale.depth if self.hidden else 0
        units = (self.inputs, *[scale.width] * depth, self.classes)
        return tuple(pairwise(units))


@dataclass(frozen=True, kw_only=True)
class Conditions(Plain):
    """Under what conditions trainings are comparable: unlike ones are never pooled.

    Threads, workers and processor are kept (``machine``) but do not separate.
    """

    engine_version: str
    torch_version: str
    dtype: str
    device_type: str
    problem: str
    optimizer: Optimizer
    normalization: str
    machine: str = ""

    def key_of(self, trial: Trial) -> str:
        """Return the hash under which a training is stored.

        It covers the canonical trial, the engine and torch versions, the dtype and the
        device type: a row is found again exactly when it would come out the same.
        """
        plain = asdict(trial)
        # A split per seed is not in the hash: so was every split before one could be
        # fixed, and those trainings are found again.
        if trial.split == PER_SEED:
            del plain["split"]
        canonical = {
            "trial": plain,
            "engine": self.engine_version,
            "torch": self.torch_version,
            "dtype": self.dtype,
            "device": self.device_type,
        }
        return key_of(canonical)

    def differences(self, there: dict[str, Any]) -> tuple[Difference, ...]:
        """Return in what the conditions of a store (as a dict) are others."""
        before, now = _flat(from_plain(Conditions, there)), _flat(self)
        return tuple(
            (name.replace("_", " "), str(before[name]), str(now[name]))
            for name in now
            if name != "machine" and before[name] != now[name]
        )


def _flat(conditions: Conditions) -> dict[str, object]:
    """Return conditions with each fact of the optimizer beside the others."""
    plain = asdict(conditions)
    optimizer = plain.pop("optimizer")
    name = optimizer.pop("name")
    return {**plain, "optimizer": name, **optimizer}


def key_of(canonical: dict[str, Any]) -> str:
    """Return the key of a training: a hash over all that determines its result."""
    # Any change of this text trains everything anew: it is part of the file format.
    text = json.dumps(canonical, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
