"""Runs and results in Python: every text; --snapshot-update rewrites."""

from functools import partial

import pytest

from dwindle.decay.convert import convert
from dwindle.decay.explain import explain
from dwindle.decay.half_life import HalfLife, half_life_from_shrink
from dwindle.decay.python_inputs import run_of
from dwindle.decay.rescale import rescale
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.decay.typed_facts import facts_after
from dwindle.errors import DwindleError

RUN = Run(lr=1e-3, batch_size=100, dataset_size=50_000, epochs=20)
RESULTS = {
    "explanation": partial(explain, 0.1, "torch.optim.AdamW", run=RUN),
    "without facts": partial(explain, "1e-1", "torch.optim.AdamW"),
    "without a rate": partial(explain, 0.1, "optax.lamb", run=RUN),
    "conversion": partial(convert, 1, "keras.regularizers.L2", to="torch.optim.SGD"),
    "layers": partial(
        convert,
        1e-3,
        "question.l2:layer-mean",
        to="torch.optim.SGD",
        run=Run(units=(784, 256, 10)),
    ),
    "rescaling": partial(
        rescale,
        0.1,
        "torch.optim.AdamW",
        before=RUN,
        after=Run(lr=1e-3, batch_size=200),
    ),
}
COUNTED = Schedule(warmup="500 steps")
LATE = Schedule(shape="multistep", milestones="30,60 steps")
REFUSED = {
    "no number": partial(Run, lr="fast"),
    "NaN": partial(Run, lr="nan"),
    "below 0": partial(Run, lr=-1e-3),
    "many numbers": partial(Run, lr=[1, -2]),
    "too many digits": partial(Run, lr=10**400),
    "too many digits of a count": partial(Run, steps=10**400),
    "a share": partial(Run, momentum=1),
    "no whole number": partial(Run, batch_size="1.5"),
    "one beta": partial(Run, betas="0.9"),
    "no list": partial(Run, units=5),
    "no layer sizes": partial(Run, units="784,2.5,10"),
    "batch above data": partial(Run, batch_size=10, dataset_size=5),
    "two lengths": partial(Run, steps=5, epochs=1, batch_size=1, dataset_size=1000),
    "endless": partial(Run, epochs=1e308, batch_size=1, dataset_size=100),
    "width against units": partial(Run, units=(3, 4, 5), width=7),
    "nesterov alone": partial(Run, nesterov=True, momentum=0.0),
    "nesterov dampened": partial(Run, nesterov=True, momentum=0.9, dampening=0.1),
    "nesterov": partial(Run, nesterov="yes"),
    "schedule": partial(Run, schedule=5),
    "shape": partial(Run, schedule="cosin"),
    "dtype": partial(Run, dtype="mixed"),
    "no length": partial(Run, schedule=COUNTED),
    "warm-up too long": partial(Run, schedule=COUNTED, steps=100),
    "no epochs": partial(Schedule(warmup="2 epochs").multipliers, 4),
    "no steps": partial(Schedule().multipliers, 0),
    "warm-up": partial(Schedule, warmup=1.0),
    "final": partial(Schedule, final="low"),
    "no room": partial(Schedule, shape="wsd", warmup=0.9),
    "no milestones": partial(Run, schedule="multistep"),
    "milestones by number": partial(Schedule, shape="multistep", milestones=[30, 60]),
    "milestones beyond": partial(Run, schedule=LATE, steps=50),
    "milestones backwards": partial(Schedule, shape="multistep", milestones="9%,2%"),
    "no period": partial(Schedule, shape="step"),
    "too short a period": partial(Schedule(shape="step", period=1e-9).rates, 10**10),
    "no gamma": partial(Schedule, shape="exponential"),
    "read by three": partial(Schedule, shape="cosine", gamma=0.5),
    "two ends": partial(Schedule, shape="exponential", gamma=0.9, final=0.1),
    "no warm-up": partial(Schedule, shape="inverse-sqrt"),
    "out of place": partial(Schedule, shape="cosine", milestones=[0.5]),
    "no peak": partial(Schedule, shape="cosine", start=0.1),
    "unclear end": partial(Run, decay_schedule="cosine from 0.04"),
    "lrs with a schedule": partial(Run, lr=[0.1, 0.2], schedule="cosine"),
    "lrs of another length": partial(Run, lr=[0.1, 0.2], steps=3),
    "tokens alone": partial(run_of, {"tokens": "20B"}),
    "tokens beside steps": partial(
        run_of, {"tokens": 9, "batch_tokens": 3, "steps": 3}
    ),
    "times nothing": partial(facts_after, {}, {"batch_size": "x2"}),
    "times 0": partial(facts_after, {"batch_size": 8}, {"batch_size": "x0"}),
    "times a part": partial(facts_after, {"batch_size": 8}, {"batch_size": "x1.3"}),
    "lr without batch": partial(facts_after, {"lr": 0.1}, {"lr": "linear"}),
    "decay of ASGD": partial(
        explain, 0.1, "torch.optim.ASGD", run={"decay_schedule": "linear"}
    ),
    "no time": partial(HalfLife.parse, "3"),
    "no clock": partial(HalfLife.parse, "3 parsecs"),
    "no share of epochs": partial(HalfLife.parse, "20% epochs"),
    "no half-life": partial(HalfLife.parse, "0 steps"),
    "shrink": partial(half_life_from_shrink, 1.0),
    "no number of a knob": partial(explain, "fast", "torch.optim.SGD"),
    "no time of a knob": partial(explain, 3.0, "half-life"),
    "another clock": partial(explain, "3 epochs", "half-life:steps"),
}


def test_every_result_has_its_text(snapshot):
    """Each has one line for a prompt, and a text for print."""
    found = {name: make() for name, make in RESULTS.items()}
    assert {name: [repr(each), str(each)] for name, each in found.items()} == snapshot


def test_every_refusal_has_its_text(snapshot):
    """What must hold, what was got, and what to write instead."""
    texts = {}
    for name, make in REFUSED.items():
        with pytest.raises(DwindleError) as raised:
            make()
        texts[name] = [type(raised.value).__name__, str(raised.value)]
    assert texts == snapshot
