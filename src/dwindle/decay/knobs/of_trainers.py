"""The knobs of training frameworks: what stands in front of torch.optim there."""

from dwindle.decay.knob import Knob

_COEFFICIENT = "coefficient of half the sum of squares"
_PER_LR = "shrink per step / lr"
_PER_STEP = "shrink per step"
_DECOUPLED = "w ← w − lr·weight_decay·w"
_SCHEDULED = "w ← w − (lr/peak lr)·weight_decay·w"
_ALL_TENSORS = "nothing: biases and norms decay too"
_COMPOSER = "composer/optim/decoupled_weight_decay.py"
_FASTAI_SKIPS = "biases and norms, unless Learner(wd_bn_bias=True)"
_BY_WIDTH = (
    "a matrix with the width multiplier m has the lr divided by m and the decay "
    "multiplied by it"
)
_BY_WIDTH_OF_SGD = (
    "a vector with the width multiplier m has the lr multiplied by m and the decay "
    "divided by it, a matrix with r times more fan-in than fan-out the lr divided by r "
    "and the decay multiplied by it"
)


def _composer(
    name: str, default: float, update: str, equilibrium: str | None = None
) -> Knob:
    return Knob(
        name=f"composer.optim.{name}",
        formula=_SCHEDULED,
        unit=_PER_STEP,
        family="schedule-only",
        equilibrium=equilibrium,
        update=update,
        default=default,
        skips=_ALL_TENSORS,
        skips_nothing=True,
        version="mosaicml 0.32.1",
        source=_COMPOSER,
        note="the peak is the lr that the optimizer is built with",
    )


def _fastai(
    name: str, default: float, family: str = "decoupled", note: str = ""
) -> Knob:
    coupled = family.startswith("coupled")
    update = {"SGD": "sgdw", "SGD:coupled": "sgd"}.get(name, "adam")
    return Knob(
        name=f"fastai.optimizer.{name}",
        symbol="wd",
        formula="gradient + wd·w" if coupled else "w ← w − lr·wd·w",
        unit=_COEFFICIENT if coupled else _PER_LR,
        family=family,
        penalty="canonical" if coupled else None,
        equilibrium={"Adam": "adamw", "SGD:coupled": "sgd"}.get(name),
        update="" if name == "RMSProp" else update,
        epsilon=1e-5 if family == "coupled-adaptive" else 0.0,
        default=default,
        skips=_FASTAI_SKIPS,
        version="fastai 2.8.12",
        source="fastai/optimizer.py",
        note=note or "decoupled by default (decouple_wd=True)",
    )


def _unit_scaling(name: str, note: str) -> Knob:
    return Knob(
        name=f"unit_scaling.optim.{name}",
        formula=_SCHEDULED,
        unit=_PER_STEP,
        family="schedule-only",
        equilibrium="adamw",
        update="adam",
        default=0.0,
        skips=_ALL_TENSORS,
        skips_nothing=True,
        version="unit-scaling 0.3.5",
        source="unit_scaling/optim.py",
        note=note,
    )


def _mup(name: str, family: str, update: str, wide: str) -> Knob:
    formula = _DECOUPLED if family == "decoupled" else "gradient + weight_decay·w"
    return Knob(
        name=f"mup.{name}",
        formula=formula,
        unit=_PER_LR if family == "decoupled" else _COEFFICIENT,
        family=family,
        penalty=None if family == "decoupled" else "canonical",
        equilibrium={"MuAdamW": "adamw", "MuSGD": "sgd"}.get(name),
        update=f"{update}:by-width",
        epsilon=1e-8 if family == "coupled-adaptive" else 0.0,
        default=0.01 if name == "MuAdamW" else 0.0,
        skips=_ALL_TENSORS,
        skips_nothing=True,
        version="mup 1.0.0",
        source="mup/optim.py",
        note=f"weights without width decay as typed; {wide}",
        caution=f"{{name}}: this is for weights without a width multiplier; {wide}.",
    )


_INDEPENDENT = (
    "independent_weight_decay=True, the default: divided by each weight's own lr when "
    "the optimizer is built"
)

TRAINER_KNOBS = (
    _composer("DecoupledSGDW", 0.0, "sgdw"),
    _composer("DecoupledAdamW", 1e-5, "adam", "adamw"),
    _fastai("SGD", 0.0),
    _fastai("SGD:coupled", 0.0, "coupled-sgd", "with decouple_wd=False"),
    _fastai("Adam", 0.01),
    _fastai("Adam:coupled", 0.01, "coupled-adaptive", "with decouple_wd=False"),
    _fastai("RMSProp", 0.0),
    _unit_scaling("AdamW", _INDEPENDENT),
    _mup("MuAdamW", "decoupled", "adam", _BY_WIDTH),
    _mup("MuSGD", "coupled-sgd", "sgd", _BY_WIDTH_OF_SGD),
    _mup("MuAdam", "coupled-adaptive", "adam", _BY_WIDTH),
    Knob(
        name="transformers.TrainingArguments",
        formula=_DECOUPLED,
        unit=_PER_LR,
        family="decoupled",
        equilibrium="adamw",
        update="adam",
        default=0.0,
        skips="biases, torch.nn.LayerNorm and weights whose names say norm",
        version="transformers 5.23.0",
        source="transformers/training_args.py, transformers/trainer.py",
        note="the default optimizer is torch's AdamW; norms by other names decay",
    ),
)
