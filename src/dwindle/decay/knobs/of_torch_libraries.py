"""The knobs of optimizer libraries for torch: one name, and each another decay."""

from dataclasses import dataclass
from typing import Any

from dwindle.decay.knob import Knob

_ALL_TENSORS = "nothing: biases and norms decay too"
_COEFFICIENT = "coefficient of half the sum of squares"
_PER_LR = "shrink per step / lr"
_PER_STEP = "shrink per step"
# What a family does with the number, and the number's unit.
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
# What belongs beside every number for an optimizer of that update.
_CAUTIONS = {
    "stable-adamw": "{name}: this is the decay where no update is clipped; where one "
    "is, the lr of the decay is divided as well, and weights decay more slowly.",
    **dict.fromkeys(
        ("adam:decay-last", "ademamix:decay-last"),
        "{name}: on CUDA the decay comes after the update and takes a share of that "
        "too, on a CPU it comes before it.",
    ),
    "prodigy": "{name}: its steps are those of optax.contrib.prodigy with "
    "bias_correction=True, which is off by default.",
}


@dataclass(frozen=True, kw_only=True)
class _Library:
    """A library: the prefix of its names, its version, and the file of an optimizer."""

    prefix: str
    version: str
    source: str
    epsilon: float = 1e-8

    def knob(
        self,
        name: str,
        family: str = "decoupled",
        default: float = 0.0,
        note: str = "",
        *,
        twins: str = "",
        **more: Any,  # further fields of the record
    ) -> Knob:
        """Build the record of an optimizer that reads its number as the family does.

        ``twins`` are other classes of the library with the same decay and default.
        """
        formula, unit = _READS[family]
        file = name.partition(":")[0].lower()
        coupled = family.startswith("coupled")
        fields = {
            "penalty": "canonical" if coupled else None,
            "epsilon": self.epsilon if family == "coupled-adaptive" else 0.0,
            "skips": _ALL_TENSORS,
            "skips_nothing": True,
            "caution": _CAUTIONS.get(more.get("update", ""), ""),
        }
        return Knob(
            name=f"{self.prefix}.{name}",
            formula=formula,
            unit=unit,
            family=family,
            default=default,
            version=self.version,
            source=self.source.format(file=file),
            note=note,
            aliases=tuple(f"{self.prefix}.{twin}" for twin in twins.split()),
            **fields | more,
        )


_optimi = _Library(
    prefix="optimi",
    version="torch-optimi 0.3.3",
    source="optimi/{file}.py",
    epsilon=1e-6,
).knob
_pytorch_optimizer = _Library(
    prefix="pytorch_optimizer",
    version="pytorch_optimizer 4.1.0",
    source="pytorch_optimizer/optimizer/{file}.py",
).knob
_bitsandbytes = _Library(
    prefix="bitsandbytes.optim",
    version="bitsandbytes 0.50.2",
    source="bitsandbytes/backends/default/ops.py",
).knob
_lion_pytorch = _Library(
    prefix="lion_pytorch", version="lion-pytorch 0.2.5", source="lion_pytorch/lion.py"
).knob
_schedulefree = _Library(
    prefix="schedulefree", version="schedulefree 1.4.1", source="schedulefree/{file}.py"
).knob

_DECOUPLE_LR = "with decouple_lr=True: max_lr, or the lr it is built with, is the peak"
_FIXED = "with fixed_decay=True: neither lr nor its schedule is in it"

# Updates that many libraries have, with what they settle at where that is known; the
# fields of a record have many types.
_ADAMW: dict[str, Any] = {"equilibrium": "adamw", "update": "adam"}
_SGD: dict[str, Any] = {"equilibrium": "sgd", "update": "sgd"}
_LION: dict[str, Any] = {"equilibrium": "lion", "update": "lion"}
_STABLE: dict[str, Any] = {"update": "stable-adamw", "varies": True}

_OPTIMI = (
    _optimi("AdamW", default=0.01, **_ADAMW),
    _optimi("AdamW:decouple_lr", "schedule-only", 0.01, _DECOUPLE_LR, **_ADAMW),
    _optimi("Adam", "coupled-adaptive", update="adam"),
    _optimi("Adam:decouple_wd", note="with decouple_wd=True", **_ADAMW),
    _optimi("SGD", "coupled-sgd", note="dampening is not torch's", **_SGD),
    _optimi("SGD:decouple_wd", note="with decouple_wd=True", update="sgdw"),
    _optimi("SGD:decouple_lr", "schedule-only", 0.0, _DECOUPLE_LR, update="sgdw"),
    _optimi("RAdam:decouple_lr", "schedule-only", 0.0, _DECOUPLE_LR),
    _optimi("Lion", **_LION),
    _optimi("Lion:decouple_lr", "schedule-only", 0.0, _DECOUPLE_LR, **_LION),
    _optimi("Adan", "proximal", 0.02, update="adan"),
    _optimi(
        "Adan:decouple_lr",
        "proximal-schedule-only",
        0.02,
        _DECOUPLE_LR,
        update="adan",
    ),
    _optimi(
        "StableAdamW",
        default=0.01,
        note="where updates are clipped, the lr of the decay is divided as well",
        **_STABLE,
    ),
)

_PYTORCH_OPTIMIZER = (
    _pytorch_optimizer("AdaBelief", update="adabelief"),
    _pytorch_optimizer(
        "AdaBelief:fixed_decay", "constant", 0.0, _FIXED, update="adabelief"
    ),
    _pytorch_optimizer(
        "AdaBelief:coupled",
        "coupled-adaptive",
        note="with weight_decouple=False",
        update="adabelief",
        epsilon=1e-16,
    ),
    _pytorch_optimizer("Lion", **_LION),
    _pytorch_optimizer("Lion:fixed_decay", "constant", 0.0, _FIXED, **_LION),
    _pytorch_optimizer("SGDW", update="sgdw"),
    _pytorch_optimizer("StableAdamW", default=0.01, **_STABLE),
    _pytorch_optimizer("Adan", "proximal", update="adan"),
    _pytorch_optimizer(
        "ADOPT",
        "coupled-adaptive",
        note="coupled by default",
        update="adopt",
        epsilon=1e-6,
    ),
    _pytorch_optimizer(
        "AdEMAMix",
        "coupled-adaptive",
        note="coupled by default",
        update="ademamix",
    ),
    _pytorch_optimizer("Lamb", note="decoupled by default, unlike LAMB elsewhere"),
    _pytorch_optimizer(
        "LARS",
        "trust-ratio",
        update="lars",
        penalty="canonical",
        skips="biases and norms: every weight with one dimension",
        skips_nothing=False,
    ),
    _pytorch_optimizer("Prodigy", "estimated-lr", update="prodigy"),
)

_BITSANDBYTES = (
    _bitsandbytes(
        "Adam",
        note="decoupled: the same kernel as AdamW, unlike torch.optim.Adam",
        equilibrium="adamw",
        update="adam:decay-last",
        twins="Adam8bit Adam32bit PagedAdam PagedAdam8bit PagedAdam32bit",
    ),
    _bitsandbytes(
        "AdamW",
        default=0.01,
        equilibrium="adamw",
        update="adam:decay-last",
        twins="AdamW8bit AdamW32bit PagedAdamW PagedAdamW8bit PagedAdamW32bit",
    ),
    _bitsandbytes(
        "AdEMAMix",
        default=0.01,
        update="ademamix:decay-last",
        twins="AdEMAMix8bit AdEMAMix32bit PagedAdEMAMix PagedAdEMAMix8bit "
        "PagedAdEMAMix32bit",
    ),
    _bitsandbytes(
        "Lion",
        **_LION,
        twins="Lion8bit Lion32bit PagedLion PagedLion8bit PagedLion32bit",
    ),
    _bitsandbytes("SGD", "coupled-sgd", **_SGD, twins="SGD8bit SGD32bit"),
    _bitsandbytes(
        "RMSprop",
        "coupled-adaptive",
        update="torch-rmsprop",
        twins="RMSprop8bit RMSprop32bit",
    ),
    _bitsandbytes(
        "Adagrad",
        "coupled-adaptive",
        update="torch-adagrad",
        epsilon=1e-10,
        twins="Adagrad8bit Adagrad32bit",
    ),
)

TORCH_LIBRARY_KNOBS = (
    *_OPTIMI,
    *_PYTORCH_OPTIMIZER,
    *_BITSANDBYTES,
    _lion_pytorch("Lion", **_LION),
    _lion_pytorch(
        "Lion:decoupled",
        "schedule-only",
        0.0,
        "with decoupled_weight_decay=True: divided by the lr that it is built with",
        **_LION,
    ),
    _schedulefree("AdamWScheduleFree", "schedule-free", update="schedule-free-adamw"),
    _schedulefree("SGDScheduleFree", "schedule-free", update="schedule-free-sgd"),
)
