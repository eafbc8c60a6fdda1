"""A training whose loss is a formula and the luck of its seed, in microseconds."""

import math
import random
from dataclasses import dataclass, field
from pathlib import Path

from dwindle.decay.run import Run
from dwindle.finding.driver import SearchPlan
from dwindle.finding.records import FindSpec, OwnConditions
from dwindle.finding.training import Result
from dwindle.finding.unit import Unit

BEST = 0.05
SCRIPT = Path(__file__).with_name("formula_script.py")


def loss_of(weight_decay, seed, best=BEST):
    """A valley in ln λ; each seed has its own level, and slightly its own slope."""
    luck = random.Random(seed)  # noqa: S311, luck and no secret
    level, slope = luck.gauss(0, 0.1), luck.gauss(0, 0.01)
    x = math.log(weight_decay / best) if weight_decay else 3.0
    return 0.5 * math.exp(0.02 * min(abs(x), 3.0) ** 2 + level + slope * x)


@dataclass
class Formula:
    """A recipe and its training: ``fails`` has failures by number of the training."""

    loss: object = loss_of
    has_seed: bool = True
    fails: dict = field(default_factory=dict)
    requests: list = field(default_factory=list)
    closed: int = 0

    def open(self):
        return self

    def train(self, request):
        self.requests.append(request)
        failure = self.fails.get(request.number)
        if isinstance(failure, BaseException):
            raise failure
        if failure is not None:
            return failure
        return result_with(self.loss_at(request))

    def loss_at(self, request):
        seed = request.number if request.seed is None else request.seed
        return self.loss(request.weight_decay, seed)

    def close(self):
        self.closed += 1


def result_with(loss):
    """A training that ended with a loss, or diverged."""
    if math.isfinite(loss):
        return Result(status="ok", loss=loss, seconds=0.5)
    return Result(status="diverged", error=f"its loss is {loss}", seconds=0.5)


def error(text="exit code 1", *, again=True):
    """A training that fails."""
    return Result(
        status="error",
        seconds=0.1,
        error=text,
        last_lines=("Traceback", "ValueError: no"),
        is_worth_another_try=again,
    )


def search(recipe, **changes):
    """A search over AdamW's decay from 1e-3 to 1."""
    of_spec = {"low": 1e-3, "high": 1.0, "trainings": 25}
    spec = {name: changes.pop(name, value) for name, value in of_spec.items()}
    conditions = {
        "training": ("python", "train.py", "{weight_decay}"),
        "knob": "torch.optim.AdamW",
        "typed": "torch.optim.AdamW",
        "metric": "val_loss",
        "has_seed": recipe.has_seed,
        "folder": "/somewhere",
        "files": {"train.py": "0123456789abcdef"},
        **changes,
    }
    unit = Unit.from_names("torch.optim.AdamW", None, Run())
    return SearchPlan(
        spec=FindSpec(name="python train.py", **spec),
        conditions=OwnConditions(**conditions),
        unit=unit,
        recipe=recipe,
    )
