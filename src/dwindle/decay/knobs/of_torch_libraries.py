"""The knobs of optimizer libraries for torch: one name, and each another decay."""

from dataclasses import dataclass

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


@dataclass(frozen=True, kw_only=True)
class _Library:
    """A library: the prefix of its names, its version, and the file of an optimizer."""

    prefix: str
    version: str
    source: str

    def knob(
        self, name: str, family: str = "decoupled", default: float = 0.0, note: str = ""
    ) -> Knob:
        """Build the record of an optimizer that reads its number as the family does."""
        formula, unit = _READS[family]
        file = name.partition(":")[0].lower()
        return Knob(
            name=f"{self.prefix}.{name}",
            formula=formula,
            unit=unit,
            family=family,
            penalty="canonical" if family.startswith("coupled") else None,
            default=default,
            skips=_ALL_TENSORS,
            version=self.version,
            source=self.source.format(file=file),
            note=note,
        )


_optimi = _Library(
    prefix="optimi", version="torch-optimi 0.3.3", source="optimi/{file}.py"
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

TORCH_LIBRARY_KNOBS = (
    *_OPTIMI,
    *_PYTORCH_OPTIMIZER,
    *_BITSANDBYTES,
    _lion_pytorch("Lion"),
    _lion_pytorch(
        "Lion:decoupled",
        "schedule-only",
        0.0,
        "with decoupled_weight_decay=True: divided by the lr that it is built with",
    ),
    _schedulefree("AdamWScheduleFree", "schedule-free"),
    _schedulefree("SGDScheduleFree", "schedule-free"),
)
