"""The knobs of optimizer libraries for torch: one name, and each another decay."""

from dataclasses import replace

from dwindle.decay.knob import Knob

_ALL_TENSORS = "nothing: biases and norms decay too"
_COEFFICIENT = "coefficient of half the sum of squares"
_PER_LR = "shrink per step / lr"
_PER_STEP = "shrink per step"
# family: (formula, unit)
_READS = {
    "decoupled": ("w ← w − lr·weight_decay·w", _PER_LR),
    "schedule-only": ("w ← w − (lr/peak lr)·weight_decay·w", _PER_STEP),
    "constant": ("w ← w − weight_decay·w", _PER_STEP),
    "proximal": ("w ← (w − step)/(1 + lr·weight_decay)", _PER_LR),
    "proximal-schedule-only": (
        "w ← (w − step)/(1 + (lr/peak lr)·weight_decay)",
        _PER_STEP,
    ),
    "coupled-sgd": ("gradient + weight_decay·w, before the momentum", _COEFFICIENT),
    "coupled-adaptive": (
        "gradient + weight_decay·w, then divided by the gradient's own size",
        _COEFFICIENT,
    ),
    "trust-ratio": (
        "decay inside the update that the trust ratio scales",
        "no rate",
    ),
    "schedule-free": ("decay at the point between iterate and average", "no rate"),
    "estimated-lr": ("w ← w − d·lr·weight_decay·w with an estimated d", "no rate"),
}


def _record(
    name: str, version: str, source: str, family: str, default: float, note: str = ""
) -> Knob:
    formula, unit = _READS[family]
    return Knob(
        name=name,
        formula=formula,
        unit=unit,
        family=family,
        penalty="canonical" if family.startswith("coupled") else None,
        default=default,
        skips=_ALL_TENSORS,
        version=version,
        source=source,
        note=note,
    )


def _optimi(
    name: str, family: str = "decoupled", default: float = 0.0, note: str = ""
) -> Knob:
    file = name.partition(":")[0].lower()
    return _record(
        f"optimi.{name}",
        "torch-optimi 0.3.3",
        f"optimi/{file}.py",
        family,
        default,
        note,
    )


def _pytorch_optimizer(
    name: str, family: str = "decoupled", default: float = 0.0, note: str = ""
) -> Knob:
    file = name.partition(":")[0].lower()
    return _record(
        f"pytorch_optimizer.{name}",
        "pytorch_optimizer 4.1.0",
        f"pytorch_optimizer/optimizer/{file}.py",
        family,
        default,
        note,
    )


def _bitsandbytes(
    name: str, family: str = "decoupled", default: float = 0.0, note: str = ""
) -> Knob:
    return _record(
        f"bitsandbytes.optim.{name}",
        "bitsandbytes 0.50.2",
        "bitsandbytes/backends/default/ops.py",
        family,
        default,
        note,
    )


_DECOUPLE_LR = "with decouple_lr=True: max_lr, or the lr it is built with, is the peak"
_FIXED = "with fixed_decay=True: neither lr nor its schedule is in it"

_OPTIMI = (
    _optimi("AdamW", default=0.01),
    _optimi("AdamW:decouple_lr", "schedule-only", 0.01, _DECOUPLE_LR),
    _optimi("Adam", "coupled-adaptive"),
    _optimi("Adam:decouple_wd", note="with decouple_wd=True"),
    _optimi("SGD", "coupled-sgd", note="dampening is not torch's"),
    _optimi("SGD:decouple_wd", note="with decouple_wd=True"),
    _optimi("SGD:decouple_lr", "schedule-only", 0.0, _DECOUPLE_LR),
    _optimi("RAdam:decouple_lr", "schedule-only", 0.0, _DECOUPLE_LR),
    _optimi("Lion"),
    _optimi("Lion:decouple_lr", "schedule-only", 0.0, _DECOUPLE_LR),
    _optimi("Adan", "proximal", 0.02),
    _optimi("Adan:decouple_lr", "proximal-schedule-only", 0.02, _DECOUPLE_LR),
    _optimi(
        "StableAdamW",
        default=0.01,
        note="where updates are clipped, the lr of the decay is divided as well",
    ),
)

_PYTORCH_OPTIMIZER = (
    _pytorch_optimizer("AdaBelief"),
    _pytorch_optimizer("AdaBelief:fixed_decay", "constant", 0.0, _FIXED),
    _pytorch_optimizer(
        "AdaBelief:coupled", "coupled-adaptive", note="with weight_decouple=False"
    ),
    _pytorch_optimizer("Lion"),
    _pytorch_optimizer("Lion:fixed_decay", "constant", 0.0, _FIXED),
    _pytorch_optimizer("SGDW"),
    _pytorch_optimizer("StableAdamW", default=0.01),
    _pytorch_optimizer("Adan", "proximal"),
    _pytorch_optimizer("ADOPT", "coupled-adaptive", note="coupled by default"),
    _pytorch_optimizer("AdEMAMix", "coupled-adaptive", note="coupled by default"),
    _pytorch_optimizer("Lamb", note="decoupled by default, unlike LAMB elsewhere"),
    _pytorch_optimizer("LARS", "trust-ratio"),
    _pytorch_optimizer("Prodigy", "estimated-lr"),
)

_BITSANDBYTES = (
    _bitsandbytes(
        "Adam",
        note="decoupled: the same kernel as AdamW, unlike torch.optim.Adam",
    ),
    _bitsandbytes("AdamW", default=0.01),
    _bitsandbytes("AdEMAMix", default=0.01),
    _bitsandbytes("Lion"),
    _bitsandbytes("SGD", "coupled-sgd"),
    _bitsandbytes("RMSprop", "coupled-adaptive"),
    _bitsandbytes("Adagrad", "coupled-adaptive"),
)

_LION_PYTORCH = _record(
    "lion_pytorch.Lion", "lion-pytorch 0.2.5", "lion_pytorch/lion.py", "decoupled", 0.0
)
_SCHEDULE_FREE = _record(
    "schedulefree.AdamWScheduleFree",
    "schedulefree 1.4.1",
    "schedulefree/adamw_schedulefree.py",
    "schedule-free",
    0.0,
)

TORCH_LIBRARY_KNOBS = (
    *_OPTIMI,
    *_PYTORCH_OPTIMIZER,
    *_BITSANDBYTES,
    _LION_PYTORCH,
    _record(
        "lion_pytorch.Lion:decoupled",
        _LION_PYTORCH.version,
        _LION_PYTORCH.source,
        "schedule-only",
        0.0,
        "with decoupled_weight_decay=True: divided by the lr that it is built with",
    ),
    _SCHEDULE_FREE,
    replace(
        _SCHEDULE_FREE,
        name="schedulefree.SGDScheduleFree",
        source="schedulefree/sgd_schedulefree.py",
    ),
)
