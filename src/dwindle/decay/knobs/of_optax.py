"""The knobs of optax: what a decay means depends on its place in the chain."""

from dwindle.decay.knob import Knob

_OPTAX = "optax 0.2.8"
_ALIAS = "optax/_src/alias.py"
_SKIPS = "nothing: the default mask lets everything decay"
_PER_LR = "shrink per step / lr"
_ADDING = "optax/transforms/_adding.py"
# The updates that other libraries have too.
_UPDATES = {
    "adamw": "adam",
    "adamaxw": "adamax",
    "lion": "lion",
    "add_decayed_weights:before-sgd": "sgd",
    "add_decayed_weights:before-adam": "adam",
    "adadelta": "optax-adadelta",
    "lamb": "lamb",
    "lars": "lars:sum-in-ratio",
    "contrib.prodigy": "prodigy:bias-corrected",
    "contrib.schedule_free_adamw": "schedule-free-adamw",
    "contrib.schedule_free_sgd": "schedule-free-sgd",
}


def _decoupled(
    name: str,
    default: float = 0.0,
    source: str = _ALIAS,
    equilibrium: str | None = None,
    note: str = "",
) -> Knob:
    return Knob(
        name=f"optax.{name}",
        formula="w ← w − lr·weight_decay·w",
        unit=_PER_LR,
        family="decoupled",
        equilibrium=equilibrium,
        update=_UPDATES.get(name, ""),
        default=default,
        skips=_SKIPS,
        skips_nothing=True,
        version=_OPTAX,
        source=source,
        note=note,
    )


def _proximal(name: str) -> Knob:
    return Knob(
        name=f"optax.contrib.{name}",
        formula="w ← (w − step)/(1 + lr·weight_decay)",
        unit=_PER_LR,
        family="proximal",
        default=0.0,
        skips=_SKIPS,
        skips_nothing=True,
        version=_OPTAX,
        source="optax/contrib/_momo.py",
    )


def _no_rate(
    name: str, family: str, source: str, formula: str, penalty: str | None = None
) -> Knob:
    return Knob(
        name=f"optax.{name}",
        formula=formula,
        unit="no rate",
        family=family,
        penalty=penalty,
        update=_UPDATES.get(name, ""),
        default=0.0,
        skips=_SKIPS,
        skips_nothing=True,
        version=_OPTAX,
        source=source,
    )


def _added(place: str, formula: str, unit: str, family: str, note: str) -> Knob:
    """Build the record of add_decayed_weights at one place of a chain."""
    coupled = family.startswith("coupled")
    return Knob(
        name=f"optax.add_decayed_weights:{place}",
        formula=formula,
        unit=unit,
        family=family,
        penalty="canonical" if coupled else None,
        equilibrium={"before-sgd": "sgd", "before-lr": "adamw"}.get(place),
        update=_UPDATES.get(f"add_decayed_weights:{place}", ""),
        epsilon=1e-8 if family == "coupled-adaptive" else 0.0,
        default=0.0,
        skips=_SKIPS,
        skips_nothing=True,
        version=_OPTAX,
        source=_ADDING,
        note=note,
    )


_COEFFICIENT = "coefficient of half the sum of squares"
_TRUST = "decay inside the update that the trust ratio scales"

OPTAX_KNOBS = (
    _decoupled("adamw", 1e-4, equilibrium="adamw"),
    _decoupled("nadamw", 1e-4),
    _decoupled("adamaxw", 1e-4),
    _decoupled("lion", 1e-3, equilibrium="lion"),
    _decoupled("adan", note="not proximal, unlike timm's adan"),
    _decoupled("contrib.ademamix", source="optax/contrib/_ademamix.py"),
    _decoupled("contrib.simplified_ademamix", source="optax/contrib/_ademamix.py"),
    _decoupled("contrib.acprop", source="optax/contrib/_acprop.py"),
    _decoupled("contrib.galore", source="optax/contrib/_galore.py"),
    _decoupled(
        "contrib.muon",
        source="optax/contrib/_muon.py",
        note="the matrices; what Adam trains beside them has adam_weight_decay",
    ),
    Knob(
        name="optax.contrib.muon:adam",
        symbol="adam_weight_decay",
        formula="w ← w − lr·adam_weight_decay·w, for the weights that Adam trains",
        unit=_PER_LR,
        family="decoupled",
        default=0.0,
        skips=_SKIPS,
        skips_nothing=True,
        version=_OPTAX,
        source="optax/contrib/_muon.py",
        note="all but matrices",
    ),
    Knob(
        name="optax.adafactor",
        symbol="weight_decay_rate",
        formula="w ← w − weight_decay_rate·w: neither lr nor its schedule is in it",
        unit="shrink per step",
        family="constant",
        default=0.0,
        skips=_SKIPS,
        skips_nothing=True,
        version=_OPTAX,
        source=_ALIAS,
        note="added after the lr, so the same number every step",
    ),
    Knob(
        name="optax.adadelta",
        formula="gradient + weight_decay·w, then divided by the gradient's own size",
        unit=_COEFFICIENT,
        family="coupled-adaptive",
        penalty="canonical",
        update=_UPDATES["adadelta"],
        default=0.0,
        skips=_SKIPS,
        skips_nothing=True,
        version=_OPTAX,
        source=_ALIAS,
        note="has no half-life: a weight with zero gradient ignores it",
    ),
    _added(
        "before-sgd",
        "gradient + weight_decay·w, before optax.sgd",
        _COEFFICIENT,
        "coupled-sgd",
        "chain(add_decayed_weights(x), sgd(lr, momentum)) is torch.optim.SGD",
    ),
    _added(
        "before-adam",
        "gradient + weight_decay·w, before optax.adam",
        _COEFFICIENT,
        "coupled-adaptive",
        "chain(add_decayed_weights(x), adam(lr)) is coupled, as torch.optim.Adam",
    ),
    _added(
        "before-lr",
        "update + weight_decay·w, before scale_by_learning_rate",
        _PER_LR,
        "decoupled",
        "what optax.adamw does, after scale_by_adam",
    ),
    _added(
        "before-schedule",
        "update + weight_decay·w, after the peak lr and before scale_by_schedule",
        "shrink per step",
        "schedule-only",
        "times the schedule but not the lr, as in big_vision",
    ),
    _added(
        "last",
        "update − weight_decay·w, after the lr (the sign is minus there)",
        "shrink per step",
        "constant",
        "chain(adam(lr), add_decayed_weights(-x)): the same number every step",
    ),
    _proximal("momo"),
    _proximal("momo_adam"),
    _no_rate("lamb", "trust-ratio", _ALIAS, _TRUST),
    _no_rate("lars", "trust-ratio", _ALIAS, _TRUST, "canonical"),
    _no_rate(
        "contrib.prodigy",
        "estimated-lr",
        "optax/contrib/_prodigy.py",
        "w ← w − d·lr·weight_decay·w with an estimated d",
    ),
    _no_rate(
        "contrib.dadapt_adamw",
        "estimated-lr",
        "optax/contrib/_dadapt_adamw.py",
        "w ← w − d·lr·weight_decay·w with an estimated d",
    ),
    _no_rate(
        "contrib.schedule_free_adamw",
        "schedule-free",
        "optax/contrib/_schedule_free.py",
        "decay at the point between iterate and average",
    ),
    _no_rate(
        "contrib.schedule_free_sgd",
        "schedule-free",
        "optax/contrib/_schedule_free.py",
        "decay at the point between iterate and average",
    ),
)
