"""Which knobs have momentum, dampening, Nesterov and betas, and what is on by default.

Read from the signatures of the installed libraries, and from what their steps do with
the arguments: tests/frameworks/run_options.py holds both beside this table.
"""

from collections.abc import Mapping
from types import MappingProxyType

from dwindle.decay.knob import NO_OPTIONS, Options

_USUAL = (0.9, 0.999)
_ADAM = Options(betas=_USUAL)
_ADAM_99 = Options(betas=(0.9, 0.99))
_ADAN = Options(betas=(0.98, 0.92, 0.99))
_ADEMAMIX = Options(betas=(0.9, 0.999, 0.9999))
_SGD = Options(momentum=0.0, dampening=0.0, nesterov=False)
_SGD_UNDAMPENED = Options(momentum=0.0, nesterov=False)
_MOMENTUM = Options(momentum=0.0)
_MOMENTUM_90 = Options(momentum=0.9)


def _each(options: Options, prefix: str, names: str) -> dict[str, Options]:
    return {f"{prefix}.{name}": options for name in names.split()}


_BY_PATH: Mapping[str, Options] = MappingProxyType(
    {
        "torch.optim.SGD": _SGD,
        "torch.optim.RMSprop": _MOMENTUM,
        "torch.optim.Muon": Options(momentum=0.95, nesterov=True),
        **_each(_ADAM, "torch.optim", "Adam AdamW NAdam RAdam Adamax"),
        "keras.optimizers.SGD": _SGD_UNDAMPENED,
        "keras.optimizers.RMSprop": _MOMENTUM,
        "keras.optimizers.Muon": Options(
            momentum=0.95, nesterov=True, betas=(0.9, 0.999)
        ),
        "keras.optimizers.Lion": _ADAM_99,
        **_each(
            _ADAM,
            "keras.optimizers",
            "Adam AdamW Adamax Nadam Lamb ScheduleFreeAdamW",
        ),
        "tfa.optimizers.AdamW": _ADAM,
        "tfa.optimizers.SGDW": _SGD_UNDAMPENED,
        **_each(
            Options(momentum=0.9, nesterov=True),
            "sklearn.neural_network",
            "MLPClassifier:sgd MLPRegressor:sgd",
        ),
        **_each(
            _ADAM,
            "sklearn.neural_network",
            "MLPClassifier:adam MLPRegressor:adam",
        ),
        "optax.adamw": Options(betas=_USUAL, nesterov=False),
        "optax.nadamw": Options(betas=_USUAL, nesterov=True),
        "optax.adan": _ADAN,
        "optax.lion": _ADAM_99,
        "optax.adafactor": _MOMENTUM,
        "optax.lars": Options(momentum=0.9, nesterov=False),
        "optax.contrib.ademamix": _ADEMAMIX,
        "optax.contrib.simplified_ademamix": Options(betas=(0.99, 0.95)),
        "optax.contrib.muon": Options(nesterov=True, momentum=0.95, betas=_USUAL),
        "optax.contrib.momo": _MOMENTUM_90,
        **_each(_ADAM, "optax", "adamaxw lamb contrib.acprop contrib.momo_adam"),
        **_each(_ADAM, "optax.contrib", "prodigy dadapt_adamw schedule_free_adamw"),
        # Of the chain: what stands behind the decay, or in front of it.
        "optax.add_decayed_weights:before-sgd": _SGD_UNDAMPENED,
        "optax.add_decayed_weights:before-adam": Options(betas=_USUAL, nesterov=False),
        **_each(
            Options(momentum=0.0, nesterov=False, betas=_USUAL),
            "optax",
            "add_decayed_weights:before-lr add_decayed_weights:before-schedule "
            "add_decayed_weights:last",
        ),
        # timm's factory hands its own 0.9 to everything that takes a momentum.
        **_each(
            Options(momentum=0.9, dampening=0.0, nesterov=True),
            "timm",
            "sgd sgdw sgdc",
        ),
        "timm.momentum": Options(momentum=0.9, dampening=0.0, nesterov=False),
        "timm.lars": Options(momentum=0.9, dampening=0.0, nesterov=False),
        "timm.muon": Options(momentum=0.9, nesterov=False, betas=(0.9, 0.95)),
        **_each(_MOMENTUM_90, "timm", "adafactorbv adafactorbvc kron"),
        **_each(_ADAN, "timm", "adan adanw"),
        **_each(_ADAM_99, "timm", "lion lionc mars"),
        **_each(
            _ADAM,
            "timm",
            "adam adamw adamc nadamw nadamc radamw adabelief laprop lamb lambw",
        ),
        # A flag: the buffer takes 1 − momentum of a gradient, or all of it.
        "optimi.SGD": Options(momentum=0.0, dampening=0.0, dampening_is_flag=True),
        "optimi.Adan": _ADAN,
        **_each(_ADAM_99, "optimi", "AdamW Adam RAdam Lion StableAdamW"),
        "pytorch_optimizer.SGDW": _SGD,
        "pytorch_optimizer.LARS": Options(momentum=0.9, dampening=0.0, nesterov=False),
        "pytorch_optimizer.Adan": _ADAN,
        "pytorch_optimizer.AdEMAMix": _ADEMAMIX,
        "pytorch_optimizer.ADOPT": Options(betas=(0.9, 0.9999)),
        **_each(_ADAM_99, "pytorch_optimizer", "Lion StableAdamW"),
        **_each(_ADAM, "pytorch_optimizer", "AdaBelief Lamb Prodigy"),
        # It takes dampening and nesterov, and its kernels read neither.
        "bitsandbytes.optim.SGD": Options(momentum=0.0, needs_momentum=True),
        "bitsandbytes.optim.RMSprop": _MOMENTUM,
        "bitsandbytes.optim.AdEMAMix": _ADEMAMIX,
        "bitsandbytes.optim.Lion": _ADAM_99,
        **_each(_ADAM, "bitsandbytes.optim", "Adam AdamW"),
        "lion_pytorch.Lion": _ADAM_99,
        "schedulefree.AdamWScheduleFree": _ADAM,
        "schedulefree.SGDScheduleFree": _MOMENTUM_90,
        "composer.optim.DecoupledSGDW": _SGD,
        "composer.optim.DecoupledAdamW": Options(betas=(0.9, 0.95)),
        "fastai.optimizer.SGD": _MOMENTUM,
        "fastai.optimizer.RMSProp": _MOMENTUM,
        "fastai.optimizer.Adam": _ADAM_99,
        "unit_scaling.optim.AdamW": _ADAM,
        "mup.MuSGD": _SGD,
        **_each(_ADAM, "mup", "MuAdamW MuAdam"),
        # lr_scheduler_type of transformers/training_args.py, 5.23.0.
        "transformers.TrainingArguments": Options(betas=_USUAL, schedule="linear"),
        "apex.optimizers.FusedSGD": _SGD,
        "mxnet.optimizer.SGD": _MOMENTUM,
        "caffe.SolverParameter": _MOMENTUM,
        "thinc.optimizers.Adam": _ADAM,
        "apex.optimizers.FusedAdam": _ADAM,
        "deepspeed.ops.adam.FusedAdam": _ADAM,
        "megatron.core.optimizer.OptimizerConfig": _ADAM,
        "paddle.optimizer.AdamW": _ADAM,
    }
)


def options_of(name: str) -> Options:
    """Return what the optimizer of a knob takes beside lr and decay.

    Example:
        >>> options_of("sklearn.neural_network.MLPClassifier:sgd").momentum
        0.9
        >>> options_of("fastai.optimizer.SGD:coupled").dampening is None
        True

    """
    return _BY_PATH.get(name) or _BY_PATH.get(name.partition(":")[0], NO_OPTIONS)
