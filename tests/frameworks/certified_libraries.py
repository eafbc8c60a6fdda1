"""Every optimizer of the libraries for torch: how it is held, or why it is not."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import Any

from frameworks.checks.partial import module
from pytorch.certified import Build, options_text

_TIMM: Mapping[str, str] = {
    "native": """
        adabelief adafactor adafactorbv adamuon adamw adamwlegacy adanw cadafactor
        cadafactorbv cadamw cadanw clambw claprop clion cmars cnadamw csgdw kron kronw
        lambcw lambw laprop lion mars muon nadamuon nadamw nesterovw nmuon novogradw
        radabelief radamlegacy radamw rmsproptfw sgdw
    """,
    "multiply": """
        adadelta adafactorbvc adagrad adam adamax adamc adamp adan adopt adoptc adoptw
        cadafactorbvc cadamc cadamp cadan cadopt cadoptc cadoptw clionc cnadamc
        crmsproptf csgdc csgdp kronc lambc lapropc lionc momentum nadam nadamc
        nadamlegacy nesterov novograd novogradc radam rmsprop rmsproptf
        rmsproptfc sgd sgdc sgdp
    """,
}
_TRUST = "its trust ratio is left out then"
_TIMM_REFUSED: Mapping[str, str] = {
    "clamb lamb lambcd larc lars nlarc nlars": _TRUST,
    "madgrad madgradw": "a weight with zero gradient of group 0 goes another way",
    "adahessian": "element 0 of tensors does not require grad",
    "fusedadam fusedadamw fusedlamb fusednovograd fusedsgd": "CUDA required for APEX",
    """
        bnbadam bnbadam8bit bnbadamw bnbadamw8bit bnbademamix bnbademamix8bit bnblion
        bnblion8bit bnbsgd bnbsgd8bit
    """: "CUDA required for bitsandbytes",
}
_AVERAGES = "a weight with zero gradient of group 0 goes another way"
_DECOUPLE_WD = {"decouple_wd": True}
_DECOUPLE_LR = {"decouple_lr": True}
_RATES = {"lr": 1e-3}
_SPLIT = {"relative_step": False, "scale_parameter": False}
# Library, class, options, outcome, a part of the refusal.
_Line = tuple[str, str, Mapping[str, Any], str, str]
_CLASSES: tuple[_Line, ...] = (
    ("optimi", "Adam", {}, "multiply", ""),
    ("optimi", "Adam", _DECOUPLE_WD, "native", ""),
    ("optimi", "Adam", _DECOUPLE_LR, "multiply", ""),
    ("optimi", "AdamW", {}, "native", ""),
    ("optimi", "AdamW", {"kahan_sum": True}, "native", ""),
    ("optimi", "AdamW", _DECOUPLE_LR, "multiply", ""),
    ("optimi", "Adan", {}, "multiply", ""),
    ("optimi", "Lion", {}, "native", ""),
    ("optimi", "Lion", _DECOUPLE_LR, "multiply", ""),
    ("optimi", "RAdam", {}, "multiply", ""),
    ("optimi", "RAdam", _DECOUPLE_WD, "native", ""),
    ("optimi", "Ranger", {}, "refused", _AVERAGES),
    ("optimi", "SGD", {"momentum": 0.9}, "multiply", ""),
    ("optimi", "SGD", _DECOUPLE_WD, "native", ""),
    ("optimi", "SGD", _DECOUPLE_LR, "multiply", ""),
    ("optimi", "StableAdamW", {}, "multiply", ""),
    ("lion_pytorch", "Lion", {}, "native", ""),
    ("lion_pytorch", "Lion", {"decoupled_weight_decay": True}, "multiply", ""),
    ("schedulefree", "AdamWScheduleFree", {}, "refused", _AVERAGES),
    ("schedulefree", "AdamWScheduleFreeClosure", {}, "refused", _AVERAGES),
    ("schedulefree", "AdamWScheduleFreePaper", {}, "refused", _AVERAGES),
    ("schedulefree", "AdamWScheduleFreeReference", {}, "refused", _AVERAGES),
    ("schedulefree", "RAdamScheduleFree", {}, "refused", _AVERAGES),
    ("schedulefree", "RAdamScheduleFreeClosure", {}, "refused", _AVERAGES),
    ("schedulefree", "SGDScheduleFree", {}, "refused", _AVERAGES),
    ("schedulefree", "SGDScheduleFreeClosure", {}, "refused", _AVERAGES),
    ("schedulefree", "SGDScheduleFreeReference", {}, "refused", _AVERAGES),
    ("transformers.optimization", "Adafactor", _RATES | _SPLIT, "native", ""),
    ("transformers.optimization", "Adafactor", {}, "refused", "have no lr"),
)
_BNB = "bitsandbytes.optim"
# Its 8-bit, 32-bit and paged classes share these kernels, which run on a CPU, too.
_BITSANDBYTES: tuple[_Line, ...] = (
    (_BNB, "AdEMAMix", {}, "native", ""),
    (_BNB, "AdEMAMix32bit", {}, "refused", "match the broadcast shape"),
    (_BNB, "Adagrad", {}, "multiply", ""),
    (_BNB, "Adam", {}, "native", ""),
    (_BNB, "Adam8bit", {}, "native", ""),
    (_BNB, "AdamW", {}, "native", ""),
    (_BNB, "AdamW8bit", {}, "native", ""),
    (_BNB, "LAMB", {}, "native", ""),
    (_BNB, "LARS", _RATES | {"momentum": 0.9}, "multiply", ""),
    (_BNB, "Lion", {}, "native", ""),
    (_BNB, "Lion8bit", {}, "native", ""),
    (_BNB, "PagedAdamW8bit", {}, "native", ""),
    (_BNB, "RMSprop", {}, "multiply", ""),
    (_BNB, "SGD", _RATES | {"momentum": 0.9}, "multiply", ""),
    (_BNB, "SGD8bit", _RATES | {"momentum": 0.9}, "multiply", ""),
)
DISTRIBUTIONS: Mapping[str, str] = {
    "timm": "timm",
    "optimi": "torch-optimi",
    "lion_pytorch": "lion-pytorch",
    "schedulefree": "schedulefree",
    "transformers": "transformers",
    "bitsandbytes": "bitsandbytes",
}


def timm() -> Any:
    """Return timm's optimizers, without the models."""
    return module("timm.optim", "timm", "timm.models")


def builds() -> Iterator[Build]:
    """Return every optimizer that is certified, library by library."""
    for outcome, names in _TIMM.items():
        yield from (_of_timm(name, outcome, "") for name in names.split())
    for names, why in _TIMM_REFUSED.items():
        yield from (_of_timm(name, "refused", why) for name in names.split())
    for path, name, options, outcome, why in (*_CLASSES, *_BITSANDBYTES):
        yield Build(
            library=path.partition(".")[0],
            name=f"{path}.{name}",
            options=options_text(options),
            factory=_factory(path, name, options),
            outcome=outcome,
            why=why,
        )


def _of_timm(name: str, outcome: str, why: str) -> Build:
    options = {"opt": name, "lr": 1e-3, "weight_decay": 0.0, "momentum": 0.9}
    return Build(
        library="timm",
        name=f"timm.{name}",
        options="",
        factory=lambda groups: timm().create_optimizer_v2(groups, **options),
        outcome=outcome,
        why=why,
    )


def _factory(path: str, name: str, options: Mapping[str, Any]) -> Callable[..., Any]:
    # optimi has no default lr.
    more = _RATES if path == "optimi" else {}
    kind = partial(getattr(import_module(path), name), **more, **options)

    def build(groups: list[dict[str, Any]]) -> Any:
        optimizer = kind(groups)
        if hasattr(optimizer, "train"):
            optimizer.train()  # schedule-free needs train mode
        return optimizer

    return build
