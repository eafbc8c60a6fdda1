"""Knobs of one update, run: driven steps are equal where a record predicts it."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from frameworks.checks import of_timm, of_torch_libraries
from frameworks.checks.check import NUMBER
from frameworks.checks.of_pairs import driven
from tolerance import digits

from dwindle.decay.knobs import KNOBS

# The defaults of libraries differ: what is compared has the same options on all sides.
_ADAM = {"eps": 1e-8, "betas": (0.9, 0.999)}
_FASTAI = {"mom": 0.9, "sqr_mom": 0.999, "eps": 1e-8}
_EPS, _MOM, _MOMENTUM = {"eps": 1e-8}, {"mom": 0.9}, {"momentum": 0.9}
# Knobs of one update, each with its options.
UPDATES = {
    "adam, decoupled": {
        "torch.optim.AdamW": {},
        "torch.optim.Adam:decoupled": {},
        "optax.adamw": {},
        "timm.adamw": {},
        "optimi.AdamW": _ADAM,
        "optimi.Adam:decouple_wd": _ADAM,
        "fastai.optimizer.Adam": _FASTAI,
    },
    "adam, coupled": {
        "torch.optim.Adam": {},
        "optax.add_decayed_weights:before-adam": {},
        "timm.adam": {},
        "optimi.Adam": _ADAM,
        "fastai.optimizer.Adam:coupled": _FASTAI,
    },
    "sgd": {
        "torch.optim.SGD": {},
        "optax.add_decayed_weights:before-sgd": {},
        "timm.momentum": {},
        "optimi.SGD": {},
        "fastai.optimizer.SGD:coupled": _MOM,
    },
    "sgdw": {
        "pytorch_optimizer.SGDW": _MOMENTUM,
        "fastai.optimizer.SGD": _MOM,
        "optimi.SGD:decouple_wd": {},
    },
    "lion": {
        "timm.lion": {},
        "optax.lion": {},
        "optimi.Lion": {},
        "pytorch_optimizer.Lion": {},
        "lion_pytorch.Lion": {},
        "keras.optimizers.Lion": {"beta_2": 0.99},
    },
    "radam": {"torch.optim.RAdam:decoupled": {}, "timm.radamw": {}},
    "adan": {"timm.adan": _EPS, "pytorch_optimizer.Adan": _EPS, "optimi.Adan": _EPS},
    "adabelief": {"timm.adabelief": {}, "pytorch_optimizer.AdaBelief": {}},
    "adamax": {"keras.optimizers.Adamax": {"epsilon": 1e-8}, "optax.adamaxw": {}},
    "stable-adamw": {
        "optimi.StableAdamW": _ADAM,
        "pytorch_optimizer.StableAdamW": _ADAM,
    },
    # One algorithm, and variants of it that options make equal.
    "lamb": {"optax.lamb": {}, "timm.lamb": {"max_grad_norm": None}},
    "lars": {"timm.lars": {}, "pytorch_optimizer.LARS": _MOMENTUM},
    "prodigy": {
        "optax.contrib.prodigy": {},
        "pytorch_optimizer.Prodigy": {"bias_correction": True},
    },
}


@pytest.mark.filterwarnings("default")  # other people's libraries may be deprecated
@pytest.mark.parametrize("name", UPDATES)
def test_knobs_of_one_update_take_the_same_steps(name):
    """Sixty driven steps under a schedule end at the same weights everywhere."""
    found = {
        knob: driven(knob, **options)(NUMBER) for knob, options in UPDATES[name].items()
    }
    for one, other in pairwise(found):
        assert KNOBS[one].algorithm == KNOBS[other].algorithm
        # 1e-7: of sixty steps in float64 only epsilon's place separates the two of
        # Adamax, and an estimated lr those of Prodigy; the others agree to 1e-12.
        assert found[one] == digits(found[other], rel=1e-7), (one, other)


@pytest.mark.filterwarnings("default")
def test_a_variant_takes_other_steps():
    """Nesterov's momentum, clipping, epsilon's place and muP's kinds are seen."""
    adam = driven("torch.optim.AdamW")(NUMBER)
    others = {"keras.optimizers.AdamW": {"epsilon": 1e-4}, "optimi.StableAdamW": _ADAM}
    for knob, options in others.items():
        assert KNOBS[knob].update != KNOBS["torch.optim.AdamW"].update
        assert driven(knob, **options)(NUMBER) != digits(adam, rel=1e-6)
    clipped = {"max_grad_norm": None}
    for one, other, options in (
        ("timm.sgd", "timm.momentum", {}),
        ("timm.lamb", "timm.lamb", clipped),
    ):
        plain = driven(other, **options)(NUMBER)
        assert driven(one)(NUMBER) != digits(plain, rel=1e-6)


def _averages_of_schedule_free(kind, chain):
    """The evaluated weights of schedulefree and of optax after the same gradients."""
    import jax
    import jax.numpy as jnp
    import optax

    jax.config.update("jax_enable_x64", True)  # noqa: FBT003
    start = np.array([[1.0, -2.0], [3.0, 0.5]])
    weight = torch.tensor(start, requires_grad=True)
    optimizer = kind([weight])
    optimizer.train()
    theirs = jnp.asarray(start)
    state = chain.init(theirs)
    for step in range(60):
        noise = np.sin(np.arange(4.0).reshape(2, 2) + 3.7 * step)
        weight.grad = 0.3 * weight.detach() + torch.tensor(noise)
        optimizer.step()
        update, state = chain.update(0.3 * theirs + noise, state, theirs)
        theirs = optax.apply_updates(theirs, update)
    optimizer.eval()
    average = optax.contrib.schedule_free_eval_params(state, theirs)
    return weight.detach().numpy(), np.asarray(average)


@pytest.mark.parametrize("name", ["AdamW", "SGD"])
def test_schedule_free_is_one_algorithm_in_two_libraries(name):
    """At one number, schedulefree's average and optax's are the same."""
    import optax
    import schedulefree

    momentum = {"momentum": 0.9} if name == "SGD" else {}
    build = getattr(optax.contrib, f"schedule_free_{name.lower()}")
    ours, theirs = _averages_of_schedule_free(
        lambda weights: getattr(schedulefree, f"{name}ScheduleFree")(
            weights, lr=0.01, weight_decay=0.3, **momentum
        ),
        build(0.01, weight_decay=0.3, b1=0.9),
    )
    assert ours.ravel() == digits(theirs.ravel(), rel=1e-12)  # sixty steps, float64
    knobs = f"schedulefree.{name}ScheduleFree", f"optax.contrib.{build.__name__}"
    assert len({KNOBS[knob].update for knob in knobs}) == 1


def _lost_per_step(knob, *, lr=1e-3, weight_decay=0.1, steps=3000, start=50.0):
    """Loss of a step over the lr: the mean of the first 300, and of the last 1,000."""
    weight = torch.full((2, 2), start, dtype=torch.float64, requires_grad=True)
    if knob.startswith("timm."):
        build = of_timm.factory(knob.removeprefix("timm."))
    else:
        build = of_torch_libraries.factory(knob)
    optimizer = build([weight], lr, weight_decay)
    path = [start]
    for _ in range(steps):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
        path.append(weight[0, 0].item())
    return (path[0] - path[300]) / 300 / lr, (path[-1001] - path[-1]) / 1000 / lr


def test_at_zero_gradients_libraries_do_what_the_refusal_states():
    """AdEMAMix loses one lr and then two; bitsandbytes' Adagrad lr/√t."""
    first, later = _lost_per_step("pytorch_optimizer.AdEMAMix")
    assert (round(first), round(later)) == (1, 2)
    first, later = _lost_per_step("bitsandbytes.optim.Adagrad")
    sums = [sum(t**-0.5 for t in range(1, n + 1)) for n in (300, 2000, 3000)]
    assert first == digits(sums[0] / 300, rel=0.01)
    # Weights of 50 in float32 lose a hundredth of their last digits a step.
    assert later == digits((sums[2] - sums[1]) / 1000, rel=0.05)
    belief = [
        _lost_per_step("pytorch_optimizer.AdaBelief:coupled", start=start)
        for start in (1.0, 50.0)
    ]
    assert max(map(max, belief)) > 5
    assert min(map(min, belief)) < 1


def test_lars_of_timm_takes_whole_steps_at_zero_gradient():
    """Its ratio is 1 there; pytorch_optimizer's makes the number cancel."""
    lost = [
        _lost_per_step("timm.lars", weight_decay=x, steps=1000)[1] for x in (0.01, 0.02)
    ]
    # A momentum of 0.9 takes ten times lr·λ, so 10 % and 20 % in a thousand steps.
    assert lost[1] / lost[0] == digits(2, rel=0.1)
    cancels = [
        _lost_per_step("pytorch_optimizer.LARS", weight_decay=x)[0] for x in (0.01, 0.1)
    ]
    assert cancels[0] == digits(cancels[1], rel=1e-6)


def test_lars_ends_at_the_optimum_of_its_penalty():
    """A quadratic under timm's LARS ends where (A + λI)⁻¹b is."""
    factory = of_timm.factory("lars", nesterov=False)
    matrix = torch.diag(torch.tensor([1.0, 2.0], dtype=torch.float64))
    target = torch.tensor([[1.0, -1.0], [0.5, 2.0]], dtype=torch.float64)
    weight = torch.ones(2, 2, dtype=torch.float64, requires_grad=True)
    optimizer = factory([weight], 30.0, 0.1)
    for _ in range(4000):
        weight.grad = matrix @ weight.detach() - target
        optimizer.step()
    optimum = torch.linalg.solve(matrix + 0.1 * torch.eye(2), target)
    assert weight.detach().ravel().tolist() == digits(optimum.ravel().tolist(), 1e-6)
