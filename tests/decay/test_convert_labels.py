"""Convert: a label promises no more than both sides share; keep and unused facts."""

import math
from dataclasses import replace

import pytest
import torch
from oracle.knob_paths import path
from tolerance import digits

from dwindle.decay.convert import convert
from dwindle.decay.explain import explain
from dwindle.decay.knobs import KNOBS
from dwindle.decay.remarks import of_rounding
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import MissingFactError, RangeError, RefusedError

ADAMW = "torch.optim.AdamW"
PLAIN = Run(lr=1e-3, steps=100)
COSINE = replace(PLAIN, schedule=Schedule(shape="cosine"))


def left(shrinks):
    """What is left after steps that take these shares: a loop."""
    weight = 1.0
    for shrink in shrinks:
        weight -= shrink * weight
    return weight


PAIRS = [
    (ADAMW, "optax.adamw", "same-trajectory"),
    (ADAMW, "optimi.AdamW", "same-trajectory"),
    (ADAMW, "composer.optim.DecoupledAdamW", "same-trajectory"),
    ("keras.optimizers.Lion", "optax.lion", "same-trajectory"),
    ("bitsandbytes.optim.Adam", "bitsandbytes.optim.AdamW", "same-trajectory"),
    # Other updates.
    (ADAMW, "torch.optim.Muon", "same-decay"),
    (ADAMW, "optax.lion", "same-decay"),
    (ADAMW, "keras.optimizers.SGD", "same-decay"),
    (ADAMW, "keras.optimizers.AdamW", "same-decay"),  # epsilon stands elsewhere
    ("torch.optim.SGD", ADAMW, "same-decay"),
    ("tfa.optimizers.AdamW", "torch.optim.SGD", "same-decay"),
    # On CUDA the decay comes last; a matrix with a width has another lr.
    ("bitsandbytes.optim.AdamW", ADAMW, "same-decay"),
    ("mup.MuAdamW", ADAMW, "same-decay"),
    # Other weights.
    (ADAMW, "timm.adamw", "same-decay"),
    (ADAMW, "transformers.TrainingArguments", "same-decay"),
    ("fastai.optimizer.Adam", ADAMW, "same-decay"),
    # No optimizer at all.
    (ADAMW, "shrink", "same-decay"),
    # A decay that the optimizer itself slows.
    (ADAMW, "optimi.StableAdamW", "approximate"),
    ("pytorch_optimizer.StableAdamW", ADAMW, "approximate"),
    ("torch.optim.SGD", "optax.add_decayed_weights:before-sgd", "same-trajectory"),
    (
        "torch.optim.Adam",
        "optax.add_decayed_weights:before-adam",
        "same-trajectory",
    ),
    ("torch.optim.Adam", "torch.optim.NAdam", "same-objective"),
    ("mup.MuAdam", "torch.optim.Adam", "same-objective"),
    ("mup.MuSGD", "torch.optim.SGD", "same-objective"),
    ("mup.MuSGD", "keras.regularizers.L2", "same-objective"),
    ("timm.lars", "torch.optim.SGD", "same-objective"),
    ("timm.lars", "bitsandbytes.optim.Adagrad", "same-objective"),
    ("optax.lars", "timm.lars", "same-objective"),
    ("optax.lamb", "timm.lamb", "approximate"),
    (
        "schedulefree.AdamWScheduleFree",
        "optax.contrib.schedule_free_adamw",
        "same-trajectory",
    ),
    ("pytorch_optimizer.Prodigy", "optax.contrib.prodigy", "approximate"),
]


def test_the_label_of_a_pair_of_optimizers():
    """Equal steps only for one update of one set of weights; both ways alike."""
    wrong = [
        (one, other, found.fidelity)
        for source, target, label in PAIRS
        for one, other in ((source, target), (target, source))
        for found in [convert(0.01, one, to=other, run=Run(lr=0.01))]
        if found.fidelity != label
    ]
    assert not wrong


CHANGES = {
    "schedule": (PLAIN, COSINE),
    "warm-up": (PLAIN, replace(PLAIN, schedule=Schedule(warmup=0.5))),
    "length": (COSINE, replace(COSINE, steps=200)),
    "length of a constant lr": (PLAIN, replace(PLAIN, steps=200)),
    "format": (PLAIN, replace(PLAIN, dtype="bfloat16")),
    "final lr": (COSINE, replace(COSINE, schedule=Schedule(shape="cosine", final=0.5))),
}


def test_another_course_is_no_equal_decay_of_every_step():
    """Where schedule, warm-up, length or number format differ, no step is promised."""
    loose = {"approximate", "same-total-decay"}
    wrong = []
    for name, (before, after) in CHANGES.items():
        for target in ("timm.adamw", "optax.adamw", ADAMW, "timm.lionc"):
            for number, source, labels in (
                (10, ADAMW, loose),
                (500, "half-life:steps", {"approximate"}),
                (0.01, "shrink", {"approximate"}),
            ):
                there = convert(
                    number, source, to=target, run=before, run_after=after
                ).fidelity
                wrong += [] if there in labels else [(name, source, target, there)]
    assert not wrong


LONGER, EPOCH = replace(COSINE, steps=200), {"batch_size": 1, "dataset_size": 10}
# One epoch is 20 steps and then 40; both runs are five.
EPOCHS = [
    Run(lr=1e-3, batch_size=20, dataset_size=400, epochs=5),
    Run(lr=1e-3, batch_size=10, dataset_size=400, epochs=5, schedule="cosine"),
]
LINE = Run(lr=0.1, steps=55, schedule="linear", momentum=0.0, nesterov=False)
# Number, source and target, what is to be kept, and the runs of both sides.
WHOLE_RUNS = [
    *(
        (10, ADAMW, target, None, *CHANGES[change])
        for change in ("schedule", "warm-up", "final lr")
        for target in ("timm.adamw", "timm.adamc", "loshchilov2019.lambda")
    ),
    (10, ADAMW, "timm.adamw", "run", COSINE, LONGER),
    (50, "half-life:steps", ADAMW, "run", replace(PLAIN, **EPOCH), COSINE),
    (10, ADAMW, "half-life:steps", "run", COSINE, replace(PLAIN, **EPOCH)),
    (10, ADAMW, "optax.adamw", "epoch", *EPOCHS),
    # A momentum lags behind the lr.
    *(
        (number, name, "torch.optim.SGD", "run", LINE, replace(LINE, momentum=0.9))
        for name, number in {ADAMW: 0.1, "composer.optim.DecoupledAdamW": 0.01}.items()
    ),
    (0.1, "torch.optim.ASGD", "torch.optim.ASGD", "run", LINE, replace(LINE, lr=0.5)),
]


def test_what_the_run_leaves_is_kept():
    """Both sides, each in its own loop, leave as much of a weight."""
    for number, source, target, keep, before, after in WHOLE_RUNS:
        there = convert(
            number, source, to=target, run=before, run_after=after, keep=keep
        )
        sides = ((source, number, before), (target, there.value, after))
        left = [path(KNOBS[name], x, run)[-1] for name, x, run in sides]
        assert left[1] == digits(left[0], rel=1e-12)  # products, and a solver
        assert there.coordinate == "total"
        assert there.fidelity == "same-total-decay"


def test_keep_run_needs_a_length_only_where_it_matters():
    """Under one schedule an equal step is an equal run, unless a momentum is late."""
    run, slower = Run(lr=1e-3), Run(lr=5e-4)
    there = convert(0.1, ADAMW, to=ADAMW, run=run, run_after=slower, keep="run")
    assert (there.value, there.coordinate) == (digits(0.2, rel=1e-12), "shrink")
    late = {"lr": 1, "momentum": 0.9}
    with pytest.raises(MissingFactError) as raised:
        convert(0.1, ADAMW, to="torch.optim.SGD", run=late, keep="run")
    assert raised.value.fact == "steps"


def test_adamc_needs_no_length_for_a_usual_one():
    """From AdamW to AdamC under cosine the number is 4/3 times, at any length."""
    cosine = Run(lr=1e-3, schedule=Schedule(shape="cosine"))
    there = convert(0.1, ADAMW, to="timm.adamc", run=cosine)
    # Of sums of 10,000 cosines, and second orders of a shrink of 1e-4.
    assert there.value == digits(0.1 * 4 / 3, rel=1e-3)
    assert there.fidelity == "approximate"
    with pytest.raises(MissingFactError) as raised:
        convert(0.1, ADAMW, to="timm.adamc", run=cosine, keep="run")
    assert raised.value.fact == "steps"


def test_a_longer_run_keeps_the_step_on_any_path():
    """Twice the steps: per step the number stays, alike or on another path."""
    longer = replace(COSINE, steps=200)
    alike = convert(1.0, ADAMW, to="timm.adamw", run=COSINE, run_after=longer)
    other = convert(1.0, ADAMW, to="timm.adamc", run=COSINE, run_after=longer)
    assert alike.value == 1.0
    assert other.value == digits(4 / 3, rel=0.02)  # sums of 100 and of 200 cosines
    assert (alike.coordinate, other.coordinate) == ("shrink", "total")
    assert alike.fidelity == other.fidelity == "approximate"


def test_keep_epoch_keeps_what_an_epoch_leaves():
    """Eight times the batch has an eighth of the steps: each must take eight times."""
    for dataset in (None, 51_200):
        before = Run(lr=1e-3, batch_size=256, dataset_size=dataset)
        after = replace(before, batch_size=2048)
        there = convert(0.1, ADAMW, to=ADAMW, run=before, run_after=after, keep="epoch")
        first, then = left([1e-4] * 200), left([1e-3 * there.value] * 25)
        assert then == digits(first, rel=1e-12)
        assert there.coordinate == "shrink"
        assert there.fidelity == "approximate"


def unused(number, source, target, before, after=None, **more):
    return convert(
        number, source, to=target, run=before, run_after=after or before, **more
    ).unused


def test_facts_that_change_nothing_are_named():
    """Batch size, schedule, momentum: what was given and not used stands by name."""
    before = Run(lr=1e-3, batch_size=256)
    after = replace(before, batch_size=2048)
    assert unused(0.1, ADAMW, "timm.adamw", before, after) == ("batch size 256:2048",)
    assert unused(0.1, ADAMW, "timm.adamw", before, after, keep="epoch") == ()
    assert unused(5e-4, "keras.L2", "torch.SGD", Run(lr=0.1, momentum=0.9)) == (
        "lr 0.1",
        "momentum 0.9",
    )
    assert unused(0.1, ADAMW, "optax.adamw", COSINE) == ("schedule cosine", "steps 100")
    assert unused(0.1, ADAMW, "optax.adamw", PLAIN, COSINE) == ()
    assert unused(0.1, ADAMW, "shrink", Run(lr=0.1, momentum=0.9)) == ("momentum 0.9",)
    assert unused(0.1, "torch.SGD", "shrink", Run(lr=0.1, momentum=0.5)) == ()


def test_weights_that_cannot_hold_the_decay_make_it_approximate():
    """A shrink of 3e-5 does nothing in bfloat16, and convert remarks on it too."""
    run = Run(lr=3e-4)
    brain = replace(run, dtype="bfloat16")
    for after, before in ((brain, run), (brain, brain)):
        there = convert(0.1, ADAMW, to="timm.adamw", run=before, run_after=after)
        assert there.fidelity == "approximate"
        assert remark_on_rounding(after) in there.assumptions[0]
    wide = replace(run, dtype="float64")
    assert convert(0.1, ADAMW, to="timm.adamw", run=wide).fidelity == "same-decay"
    penalty = replace(brain, lr=0.1)
    there = convert(5e-4, "keras.L2", to="torch.SGD", run=penalty)
    assert there.fidelity == "same-objective"
    assert "One step takes" in there.assumptions[0]


def remark_on_rounding(run):
    (remark,) = of_rounding(0.1 * run.lr, run)
    return remark.text


def test_optimis_dampened_first_step_is_not_torchs():
    """optimi dampens the first buffer too: no label promises equal steps.

    Stepped by hand: torch's first buffer is λw, optimi's (1 − 0.9)·λw.
    """
    plain = Run(lr=0.1, momentum=0.9)
    damped = replace(plain, dampening=0.9)
    labels = [
        convert(5e-4, "torch.SGD", to="optimi.SGD", run=run, keep=keep).fidelity
        for run, keep in ((damped, None), (damped, "step"), (plain, None))
    ]
    assert labels == ["same-objective", "approximate", "same-trajectory"]


def test_no_trajectory_is_promised_in_a_format_of_few_digits():
    """In bfloat16 two libraries round their operations differently."""
    for dtype, label in (("float32", "same-trajectory"), ("bfloat16", "same-decay")):
        run = Run(lr=0.5, dtype=dtype)
        there = convert(0.5, "torch.AdamW", to="optimi.AdamW", run=run)
        assert there.fidelity == label, dtype


def test_half_the_lr_takes_twice_the_number():
    """Each step decays alike, of SGD if keep="step"; the updates differ."""
    run, half = Run(lr=0.2), Run(lr=0.1)
    for name, keep in ((ADAMW, None), ("torch.SGD", "step")):
        there = convert(0.1, name, to=name, run=run, run_after=half, keep=keep)
        assert (there.value, there.fidelity) == (digits(0.2, rel=1e-12), "same-decay")


LR, WEIGHTS = 1e-3, 2000


def measured_rate(name, weight_decay, size, *, burn_in=300, steps=600):
    """What a step takes off the difference of two starts under the same noise.

    The noise itself cancels in the difference, and what is left of it is the decay.
    """
    generator = torch.Generator().manual_seed(3)
    pairs = []
    for start in (0.0, 1e-3 * size):
        weight = torch.full((WEIGHTS,), start, dtype=torch.float64, requires_grad=True)
        kind = getattr(torch.optim, name)
        pairs.append((weight, kind([weight], lr=LR, weight_decay=weight_decay)))
    apart = []
    for step in range(burn_in + steps):
        noise = size * torch.randn(WEIGHTS, dtype=torch.float64, generator=generator)
        for weight, optimizer in pairs:
            weight.grad = noise.clone()
            optimizer.step()
        if step + 1 in (burn_in, burn_in + steps):
            apart.append((pairs[1][0] - pairs[0][0]).detach().mean().item())
    return -math.log(apart[1] / apart[0]) / steps


@pytest.mark.parametrize("name", ["Adam", "NAdam", "RMSprop"])
@pytest.mark.parametrize("size", [1.0, 1e-3])
def test_the_rate_is_that_of_the_real_optimizer(name, size):
    """A weight under gradient noise of RMS G decays by lr·λ/G, for any G."""
    decay = 0.3 * size
    run = Run(lr=LR, gradient_rms=size)
    there = convert(decay, f"torch.optim.{name}", to="shrink", run=run)
    # 1/√v̂ wavers with v̂, most in RMSprop whose memory is 100 steps: below 2 %.
    assert measured_rate(name, decay, size) == digits(there.value, rel=0.02)
    assert there.fidelity == "approximate"


# Number and knob, facts beside the lr, and AdamW's number.
DIVIDED = [
    (1e-4, "torch.Adam", {"gradient_rms": 0.02, "steps": 9}, 1e-4 / (0.02 + 1e-8)),
    # Where G is no larger than ε, half of the divisor is ε; fastai's is 1e-5.
    (1e-9, "torch.Adam", {"gradient_rms": 1e-8}, 1e-9 / 2e-8),
    (1e-5, "fastai.optimizer.Adam:coupled", {"gradient_rms": 1e-5}, 1e-5 / 2e-5),
    # sklearn's alpha is λ times the batch.
    (
        0.1,
        "sklearn.neural_network.MLPClassifier:adam",
        {"gradient_rms": 0.5, "batch_size": 200},
        0.1 / 200 / (0.5 + 1e-8),
    ),
]


def test_a_penalty_is_divided_by_the_gradients_size_and_epsilon():
    """λ_AdamW is λ/(G + ε), at any lr and schedule, and back it is λ again."""
    for number, name, facts, expected in DIVIDED:
        run = Run(lr=LR, schedule="cosine", **facts)
        there = convert(number, name, to="torch.optim.AdamW", run=run)
        back = convert(there.value, "torch.optim.AdamW", to=name, run=run)
        assert there.value == digits(expected, rel=1e-12)
        assert back.value == digits(number, rel=1e-12)
        assert {there.fidelity, back.fidelity} == {"approximate"}


def test_a_size_on_each_side():
    """Before and after may have gradients of different sizes."""
    there = convert(
        1e-4,
        "torch.Adam",
        to="torch.Adam",
        run=Run(lr=LR, gradient_rms=0.01),
        run_after=Run(lr=LR, gradient_rms=0.02),
        keep="step",
    )
    assert there.value == digits(2e-4, rel=1e-5)  # ε is a millionth of these sizes


def test_without_a_size_the_refusal_shows_how_to_give_one():
    """The refusal names λ/G and the option; with other divisors it does not."""
    with pytest.raises(RefusedError) as caught:
        convert(1e-4, "torch.Adam", to="torch.AdamW", run=Run(lr=LR))
    assert "--gradient-rms" in caught.value.instead
    for name in ("Adagrad", "Adadelta", "Adamax"):
        with pytest.raises(RefusedError) as caught:
            convert(
                1e-4, f"torch.{name}", to="shrink", run=Run(lr=LR, gradient_rms=1.0)
            )
        assert "gradient-rms" not in caught.value.instead


def test_an_explanation_has_the_rate_and_its_assumption():
    """With the size of the gradients, explain has half-life and total decay."""
    run = Run(lr=LR, gradient_rms=0.01, steps=1000, schedule=Schedule(shape="linear"))
    explained = explain(1e-2, "torch.Adam", run=run)
    assert explained.shrink_per_step == digits(1e-2 * LR / (0.01 + 1e-8), rel=1e-12)
    decoupled = explain(1e-2 / (0.01 + 1e-8), "torch.AdamW", run=run)
    assert explained.kept == digits(decoupled.kept, rel=1e-12)
    codes = [each.code for each in explained.warnings]
    assert "approximate" in codes
    assert "coupled-adaptive" not in codes
    assert "fading-decay" in codes


def test_adabelief_without_a_first_moment_divides_by_nothing():
    """Its divisor is the size of g − m, and without β₁ that is g − g."""
    run = Run(lr=LR, gradient_rms=0.1, betas=(0.0, 0.999))
    with pytest.raises(RangeError) as raised:
        convert(1e-4, "pytorch_optimizer.AdaBelief:coupled", to="shrink", run=run)
    assert (raised.value.name, raised.value.value) == ("betas", 0.0)
