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
_MUP = "weights without width decay as typed; the lr and the decay of the others are "


def _composer(name: str, default: float) -> Knob:
    return Knob(
        name=f"composer.optim.{name}",
        formula=_SCHEDULED,
        unit=_PER_STEP,
        family="schedule-only",
        default=default,
        skips=_ALL_TENSORS,
        version="mosaicml 0.32.1",
        source=_COMPOSER,
        note="the peak is the lr that the optimizer is built with",
    )


def _fastai(
    name: str, default: float, family: str = "decoupled", note: str = ""
) -> Knob:
    coupled = family.startswith("coupled")
    return Knob(
        name=f"fastai.optimizer.{name}",
        symbol="wd",
        formula="gradient + wd·w" if coupled else "w ← w − lr·wd·w",
        unit=_COEFFICIENT if coupled else _PER_LR,
        family=family,
        penalty="canonical" if coupled else None,
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
        default=0.0,
        skips=_ALL_TENSORS,
        version="unit-scaling 0.3.5",
        source="unit_scaling/optim.py",
        note=note,
    )


def _mup(name: str, family: str, note: str) -> Knob:
    formula = _DECOUPLED if family == "decoupled" else "gradient + weight_decay·w"
    return Knob(
        name=f"mup.{name}",
        formula=formula,
        unit=_PER_LR if family == "decoupled" else _COEFFICIENT,
        family=family,
        default=0.01 if name == "MuAdamW" else 0.0,
        skips=_ALL_TENSORS,
        version="mup 1.0.0",
        source="mup/optim.py",
        note=note,
    )


_INDEPENDENT = (
    "independent_weight_decay=True, the default: divided by each weight's own lr when "
    "the optimizer is built"
)

TRAINER_KNOBS = (
    _composer("DecoupledSGDW", 0.0),
    _composer("DecoupledAdamW", 1e-5),
    _fastai("SGD", 0.0),
    _fastai("SGD:coupled", 0.0, "coupled-sgd", "with decouple_wd=False"),
    _fastai("Adam", 0.01),
    _fastai("Adam:coupled", 0.01, "coupled-adaptive", "with decouple_wd=False"),
    _fastai("RMSProp", 0.0),
    _unit_scaling("AdamW", _INDEPENDENT),
    _mup("MuAdamW", "decoupled", _MUP + "divided and multiplied by the width"),
    _mup("MuSGD", "coupled-sgd", _MUP + "scaled oppositely, so lr·decay stays"),
    _mup("MuAdam", "coupled-adaptive", _MUP + "divided and multiplied by the width"),
    Knob(
        name="transformers.TrainingArguments",
        formula=_DECOUPLED,
        unit=_PER_LR,
        family="decoupled",
        equilibrium="adamw",
        default=0.0,
        skips="biases, torch.nn.LayerNorm and weights whose names say norm",
        version="transformers 5.23.0",
        source="transformers/training_args.py, transformers/trainer.py",
        note="the default optimizer is torch's AdamW; norms by other names decay",
    ),
)
