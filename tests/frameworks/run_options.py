"""Momentum, dampening, Nesterov and betas of every knob, held beside its library."""

import importlib
import inspect

import pytest
from frameworks.checks.of_trainers import fastai
from frameworks.checks.partial import module
from frameworks.checks.table import NOT_INSTALLED
from frameworks.checks.torch_like import left_of
from frameworks.run_tables import by_name
from tolerance import digits

from dwindle.decay.coordinates import survival_from_number
from dwindle.decay.knobs import KNOBS
from dwindle.decay.own_facts import resolved
from dwindle.decay.run import Run

pytestmark = pytest.mark.filterwarnings("default")  # other people's deprecations

# What libraries call the four, beside their own names.
CALLED = {
    "momentum": ("momentum", "mom"),
    "dampening": ("dampening",),
    "nesterov": ("nesterov", "nesterovs_momentum"),
}
PAIRS = (
    ("beta_1", "beta_2"),
    ("b1", "b2", "b3"),
    ("adam_beta1", "adam_beta2"),
    ("adam_beta_1", "adam_beta_2"),
    ("adam_b1", "adam_b2"),
    ("beta1", "beta2"),
)
# Whose signature is not what the optimizer does, and what it does.
UNLIKE_ITS_SIGNATURE = {
    "bitsandbytes.optim.SGD": "takes dampening and nesterov, and reads neither: below",
    **dict.fromkeys(
        (
            "sklearn.neural_network.MLPClassifier:adam",
            "sklearn.neural_network.MLPRegressor:adam",
            "sklearn.neural_network.MLPClassifier:sgd",
            "sklearn.neural_network.MLPRegressor:sgd",
        ),
        "one class has the arguments of all its solvers: below",
    ),
    "optax.add_decayed_weights:before-lr": "a chain: what stands around it is free",
    "optax.add_decayed_weights:before-schedule": "a chain: free as well",
    "optax.add_decayed_weights:last": "a chain: free as well",
}
# What a library calls otherwise than most.
RENAMED = {
    "fastai.optimizer.Adam": {"mom": "beta1", "sqr_mom": "beta2"},
    "optax.contrib.muon": {"beta": "momentum"},
    "optax.contrib.momo": {"beta": "momentum"},
}
OF_TORCH = {
    "mup.MuSGD": "SGD",
    "mup.MuAdam": "Adam",
    "mup.MuAdamW": "AdamW",
    "unit_scaling.optim.AdamW": "AdamW",
}
OPTIMIZERS = [
    name
    for name, knob in KNOBS.items()
    if knob.family is not None and knob.version and name not in UNLIKE_ITS_SIGNATURE
    if knob.library not in NOT_INSTALLED
]


def arguments_of(name):
    """The arguments of the real optimizer, with their defaults."""
    if name in OF_TORCH:
        torch_optim = importlib.import_module("torch.optim")
        return defaults(getattr(torch_optim, OF_TORCH[name]))
    if name.startswith("optax.add_decayed_weights:before-"):
        optax = importlib.import_module("optax")
        return defaults(getattr(optax, name.rpartition("-")[2]))
    if name.startswith("timm."):
        return of_timm(name.removeprefix("timm."))
    renamed = RENAMED.get(name.partition(":")[0], {})
    found = defaults(by_name(name))
    return {renamed.get(argument, argument): each for argument, each in found.items()}


def defaults(kind):
    parameters = inspect.signature(kind).parameters
    return {name: each.default for name, each in parameters.items()}


def of_timm(name):
    """What the factory hands to the class under this name."""
    timm = module("timm.optim", "timm", "timm.models")
    info = timm.get_optimizer_info(name)
    given = dict(info.defaults or {})
    if info.has_momentum:
        given["momentum"] = defaults(timm.create_optimizer_v2)["momentum"]
    found = defaults(info.opt_class) | given
    return found if info.has_betas else found | {"betas": None}


def option_of(arguments, option):
    for called in CALLED[option]:
        if called in arguments:
            default = arguments[called]
            return 0.0 if default is None else default
    return None


def betas_of(arguments):
    if arguments.get("betas"):
        return tuple(arguments["betas"])
    for names in PAIRS:
        found = tuple(arguments[name] for name in names if name in arguments)
        if len(found) > 1:
            return found
    return None


def test_the_options_are_those_of_the_installed_library():
    """Each of the four is in the signature with this default, or in neither place."""
    wrong = []
    for name in OPTIMIZERS:
        arguments, options = arguments_of(name), KNOBS[name].options
        for option in CALLED:
            theirs, ours = option_of(arguments, option), getattr(options, option)
            is_absent = [each is None for each in (theirs, ours)]
            if len(set(is_absent)) > 1 or (theirs or 0.0) != (ours or 0.0):
                wrong.append((name, option, theirs, ours))
        if betas_of(arguments) != options.betas:
            wrong.append((name, "betas", betas_of(arguments), options.betas))
    assert wrong == []


MOMENTUM, LR, NUMBER, STEPS = 0.9, 0.02, 0.05, 40
COUPLED = [
    name
    for name, knob in KNOBS.items()
    if knob.family == "coupled-sgd" and knob.library not in NOT_INSTALLED
]
# What builds the real optimizer, with options by the names that its library has.
MEASURED = [
    name
    for name in COUPLED
    if name.partition(".")[0] in {"torch", "timm", "optimi", "bitsandbytes", "mup"}
]


def build(name, options):
    def factory(parameters, lr, number):
        if name.startswith("timm."):
            timm = module("timm.optim", "timm", "timm.models")
            short = name.removeprefix("timm.")
            given = {"opt": short, "lr": lr, "weight_decay": number} | options
            return timm.create_optimizer_v2(parameters, **given)
        path, _, kind = name.rpartition(".")
        if name.startswith("mup."):
            torch = importlib.import_module("torch")
            for weight in parameters:  # muP reads how wide each weight is
                weight.infshape = infinite_shape(weight)
            made = getattr(importlib.import_module("mup.optim"), kind)
            return made(
                parameters,
                impl=torch.optim.SGD,
                **{"lr": lr, "weight_decay": number, **options},
            )
        made = getattr(importlib.import_module(path), kind)
        return made(parameters, lr=lr, weight_decay=number, **options)

    return factory


def infinite_shape(weight):
    shapes = importlib.import_module("mup.infshape")
    return shapes.InfShape([shapes.InfDim(None, size) for size in weight.shape])


def left_by(name, options):
    """What the real optimizer leaves of a weight with zero gradient."""
    single = name.startswith("bitsandbytes")
    measure = left_of(build(name, options), "float32" if single else "float64")
    return measure(NUMBER, Run(lr=LR, steps=STEPS))[0]


def predicted_by(name, facts):
    return survival_from_number(KNOBS[name], NUMBER, Run(lr=LR, steps=STEPS, **facts))


def closeness(name):
    # bitsandbytes' kernels take float32 only: forty steps, rounded at 6e-8 each.
    return 1e-5 if name.startswith("bitsandbytes") else 1e-9


@pytest.mark.parametrize("name", [n for n in MEASURED if "bitsandbytes" not in n])
def test_what_nobody_gave_is_what_the_library_does(name):
    """Without a momentum given, what is left is what the defaults leave."""
    assert predicted_by(name, {}) == digits(left_by(name, {}), rel=closeness(name))


@pytest.mark.parametrize("name", MEASURED)
def test_a_momentum_that_is_given_is_the_librarys(name):
    """A given momentum reaches the decay as the record predicts."""
    options = {"momentum": MOMENTUM}
    assert predicted_by(name, options) == digits(
        left_by(name, options), rel=closeness(name)
    )


@pytest.mark.parametrize(
    "name", [n for n in MEASURED if KNOBS[n].options.dampening is not None]
)
def test_a_dampening_that_a_library_has_is_as_recorded(name):
    """Where a record has dampening, it acts; or it is a flag, as torch starts."""
    facts = {"momentum": MOMENTUM, "dampening": 0.5, "nesterov": False}
    options = dict(facts)
    if KNOBS[name].options.dampening_is_flag:
        facts = {"momentum": MOMENTUM, "dampening": MOMENTUM}
        # As torch starts; without it the first buffer is dampened, too.
        options = {"momentum": MOMENTUM, "dampening": True, "torch_init": True}
    assert predicted_by(name, facts) == digits(left_by(name, options), rel=1e-9)


def test_bitsandbytes_reads_neither_dampening_nor_nesterov():
    """Its SGD takes both, and does the same without them: the record has neither."""
    name = "bitsandbytes.optim.SGD"
    plain = left_by(name, {"momentum": MOMENTUM})
    for more in ({"dampening": 0.9}, {"nesterov": True}):
        assert left_by(name, {"momentum": MOMENTUM} | more) == plain
    options = KNOBS[name].options
    assert (options.dampening, options.nesterov) == (None, None)
    assert options.needs_momentum
    with pytest.raises(NotImplementedError, match="without momentum"):
        left_by(name, {})


def test_fastai_has_neither():
    """A momentum of fastai's SGD is plain: it has no argument for anything else."""
    measure = left_of(fastai("SGD", mom=MOMENTUM, decouple_wd=False))
    predicted = predicted_by("fastai.optimizer.SGD:coupled", {"momentum": MOMENTUM})
    assert measure(NUMBER, Run(lr=LR, steps=STEPS)) == digits([predicted] * 4, rel=1e-9)


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_the_perceptron_of_sklearn_is_nesterovs_by_default(kind):
    """Its optimizer, stepped by hand with alpha·w/B, does as the record predicts."""
    numpy = importlib.import_module("numpy")
    made = importlib.import_module("sklearn.neural_network")
    optimizers = importlib.import_module(
        "sklearn.neural_network._stochastic_optimizers"
    )
    model = getattr(made, kind)(solver="sgd")
    name, batch = f"sklearn.neural_network.{kind}:sgd", 8
    weights = [numpy.ones(3)]
    own = optimizers.SGDOptimizer(
        weights,
        LR,
        model.learning_rate,
        model.momentum,
        model.nesterovs_momentum,
        model.power_t,
    )
    for _ in range(STEPS):
        own.update_params(weights, [NUMBER / batch * weights[0]])
    run = Run(lr=LR, steps=STEPS, batch_size=batch)
    assert weights[0][0] == digits(
        survival_from_number(KNOBS[name], NUMBER, run), rel=1e-12
    )
    assert resolved(KNOBS[name], run).betas == Run().betas
    adam = KNOBS[name.replace(":sgd", ":adam")].options
    assert adam.betas == (model.beta_1, model.beta_2)
    assert (adam.momentum, adam.nesterov) == (None, None)


def test_optax_sgd_has_no_dampening_and_plain_momentum_by_default():
    """A chain with optax.sgd as it is built without a momentum."""
    jax, optax = (importlib.import_module(name) for name in ("jax", "optax"))
    jax.config.update("jax_enable_x64", True)  # noqa: FBT003 jax's own signature
    chain = optax.chain(optax.add_decayed_weights(NUMBER), optax.sgd(LR))
    weight = jax.numpy.ones(2)
    state = chain.init(weight)
    for _ in range(STEPS):
        updates, state = chain.update(jax.numpy.zeros(2), state, weight)
        weight = optax.apply_updates(weight, updates)
    predicted = predicted_by("optax.add_decayed_weights:before-sgd", {})
    assert float(weight[0]) == digits(predicted, rel=1e-9)


def test_every_coupled_knob_is_measured_here():
    """No knob whose decay goes through a momentum is left to its signature alone."""
    elsewhere = {
        "fastai.optimizer.SGD:coupled",
        "optax.add_decayed_weights:before-sgd",
        "sklearn.neural_network.MLPClassifier:sgd",
        "sklearn.neural_network.MLPRegressor:sgd",
        "sklearn.linear_model.SGDClassifier:constant",  # no momentum at all
        "sklearn.linear_model.SGDRegressor:constant",
        "sklearn.linear_model.SGDRegressor:invscaling",
    }
    assert set(COUPLED) - set(MEASURED) == elsewhere
