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
# The updates that other libraries have too; timm gives its SGDs Nesterov's momentum.
_UPDATES = {
    "sgd": "sgd:nesterov",
    "momentum": "sgd",
    "sgdw": "sgdw:nesterov",
    "sgdc": "sgdw:nesterov",
    "adam": "adam",
    "adamw": "adam",
    "adamc": "adam",
    "nadamc": "timm-nadamw",
    "radamw": "radam",
    "adabelief": "adabelief",
    "adan": "adan",
    "lion": "lion",
    "lionc": "lion",
    "adafactorbvc": "timm-adafactorbv",
    "lamb": "lamb:clipped",
    "lambw": "timm-lambw",
    "lars": "lars:one-at-zero",
}
_CLIPS = (
    "{name} clips the norm of the whole gradient at 1 by default; with "
    "max_grad_norm=None it does not."
)


def _timm(
    name: str,
    file: str,
    family: str = "decoupled",
    note: str = "",
    equilibrium: str | None = None,
) -> Knob:
    formula, unit = _READS[family]
    coupled = family.startswith("coupled")
    return Knob(
        name=f"timm.{name}",
        formula=formula,
        unit=unit,
        family=family,
        penalty="canonical" if coupled or name == "lars" else None,
        equilibrium=equilibrium,
        update=_UPDATES.get(name, f"timm-{name}"),
        epsilon=1e-8 if family == "coupled-adaptive" else 0.0,
        default=0.0,
        skips=_SKIPS,
        version=_TIMM,
        source=f"timm/optim/{file}.py",
        note=note,
        caution=_CLIPS if name == "lamb" else "",
        aliases=(f"timm.optim.{name}",),
    )


_PEAK = "build the optimizer with the peak lr: that is what lr² is divided by"
_FACTORY = "_optim_factory"

TIMM_KNOBS = (
    _timm(
        "sgd",
        _FACTORY,
        "coupled-sgd",
        "torch.optim.SGD with Nesterov's momentum",
        "sgd",
    ),
    _timm(
        "momentum", _FACTORY, "coupled-sgd", "torch.optim.SGD without Nesterov", "sgd"
    ),
    _timm("sgdw", "sgdw", note="momentum does not multiply the decay"),
    _timm("sgdc", "sgdw", "corrected", _PEAK),
    _timm("adam", _FACTORY, "coupled-adaptive", "torch.optim.Adam"),
    _timm("adamw", _FACTORY, equilibrium="adamw", note="torch.optim.AdamW"),
    _timm("adamc", "adamw", "corrected", _PEAK, "adamw"),
    _timm("nadamw", "nadamw"),
    _timm("nadamc", "nadamw", "corrected", _PEAK),
    _timm("radamw", "radam", note="decoupled, unlike timm's radam"),
    _timm("adabelief", "adabelief"),
    _timm("adan", "adan", "proximal", "adanw is decoupled"),
    _timm("adanw", "adan"),
    _timm("lion", "lion", equilibrium="lion"),
    _timm("lionc", "lion", "corrected", _PEAK, "lion"),
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
