"""The knobs of timm, by the names of its factory: create_optimizer_v2(opt=...)."""

from dwindle.decay.knob import Knob

_TIMM = "timm 1.0.31"
_SKIPS = "biases and norms: every weight with one dimension (filter_bias_and_bn)"
_COEFFICIENT = "coefficient of half the sum of squares"
_PER_LR = "shrink per step / lr"
# What a family does with the number, and the number's unit.
_READS = {
    "decoupled": ("w ← w − lr·weight_decay·w", _PER_LR),
    "corrected": ("w ← w − (lr²/peak lr)·weight_decay·w", _PER_LR),
    "coupled-sgd": ("gradient + weight_decay·w, before the momentum", _COEFFICIENT),
    "coupled-adaptive": (
        "gradient + weight_decay·w, then divided by the gradient's own size",
        _COEFFICIENT,
    ),
    "proximal": ("w ← (w − step)/(1 + lr·weight_decay)", _PER_LR),
    "trust-ratio": ("decay inside the update that the trust ratio scales", "no rate"),
}


def _timm(
    name: str,
    file: str,
    family: str = "decoupled",
    note: str = "",
    equilibrium: str | None = None,
) -> Knob:
    formula, unit = _READS[family]
    return Knob(
        name=f"timm.{name}",
        formula=formula,
        unit=unit,
        family=family,
        penalty="canonical" if family.startswith("coupled") else None,
        equilibrium=equilibrium,
        default=0.0,
        skips=_SKIPS,
        version=_TIMM,
        source=f"timm/optim/{file}.py",
        note=note,
        aliases=(f"timm.optim.{name}",),
    )


_PEAK = "build the optimizer with the peak lr: that is what lr² is divided by"
_FACTORY = "_optim_factory"

TIMM_KNOBS = (
    _timm("sgd", _FACTORY, "coupled-sgd", "torch.optim.SGD with Nesterov's momentum"),
    _timm("momentum", _FACTORY, "coupled-sgd", "torch.optim.SGD without Nesterov"),
    _timm("sgdw", "sgdw", note="momentum does not multiply the decay"),
    _timm("sgdc", "sgdw", "corrected", _PEAK),
    _timm("adam", _FACTORY, "coupled-adaptive", "torch.optim.Adam"),
    _timm("adamw", _FACTORY, equilibrium="adamw", note="torch.optim.AdamW"),
    _timm("adamc", "adamw", "corrected", _PEAK),
    _timm("nadamw", "nadamw"),
    _timm("nadamc", "nadamw", "corrected", _PEAK),
    _timm("radamw", "radam", note="decoupled, unlike timm's radam"),
    _timm("adabelief", "adabelief"),
    _timm("adan", "adan", "proximal", "adanw is decoupled"),
    _timm("adanw", "adan"),
    _timm("lion", "lion"),
    _timm("lionc", "lion", "corrected", _PEAK),
    _timm("muon", "muon", note="default 0, where torch.optim.Muon has 0.1"),
    _timm("adafactorbv", "adafactor_bv"),
    _timm("adafactorbvc", "adafactor_bv", "corrected", _PEAK),
    _timm("laprop", "laprop"),
    _timm("mars", "mars"),
    _timm("kron", "kron"),
    _timm("lamb", "lamb", "trust-ratio", "lambw decays beside the update"),
    _timm("lambw", "lamb", note="beside the update, outside of the trust ratio"),
    _timm("lars", "lars", "trust-ratio"),
)
