"""The knobs of torch.optim: every optimizer that has a weight_decay."""

from dwindle.decay.knob import Knob

_TORCH = "torch 2.13.0"
_ALL_TENSORS = "nothing: biases and norms decay too"
_COEFFICIENT = "coefficient of half the sum of squares"
_PER_LR = "shrink per step / lr"
_FULL_L2 = "coefficient of the sum of squares"
# The updates that other libraries have too; torch's own NAdam is nobody else's.
_UPDATES = {"Adam": "adam", "AdamW": "adam", "RAdam": "radam"}


def _update(name: str) -> str:
    plain = name.partition(":")[0]
    return _UPDATES.get(plain, f"torch-{plain.lower()}")


def _coupled_adaptive(
    name: str, file: str, note: str = "", epsilon: float = 1e-8
) -> Knob:
    """Build the record of a torch optimizer that divides its decay by √v."""
    return Knob(
        name=f"torch.optim.{name}",
        formula="gradient + weight_decay·w, then divided by the gradient's own size",
        unit=_COEFFICIENT,
        family="coupled-adaptive",
        penalty="canonical",
        update=_update(name),
        epsilon=epsilon,
        default=0.0,
        skips=_ALL_TENSORS,
        skips_nothing=True,
        version=_TORCH,
        source=f"torch/optim/{file}.py",
        note=note or "has no half-life: a weight with zero gradient ignores it",
    )


def _decoupled(name: str, file: str, default: float, note: str = "") -> Knob:
    """Build the record of a torch optimizer that takes lr·x off a weight."""
    return Knob(
        name=f"torch.optim.{name}",
        formula="w ← w − lr·weight_decay·w",
        unit=_PER_LR,
        family="decoupled",
        equilibrium="adamw" if name in {"AdamW", "Adam:decoupled"} else None,
        update=_update(name),
        default=default,
        skips=_ALL_TENSORS,
        skips_nothing=True,
        version=_TORCH,
        source=f"torch/optim/{file}.py",
        note=note,
    )


_OFF = "with decoupled_weight_decay=True, which is off by default"

TORCH_KNOBS = (
    Knob(
        name="torch.optim.SGD",
        formula="gradient + weight_decay·w, before the momentum",
        unit=_COEFFICIENT,
        family="coupled-sgd",
        penalty="canonical",
        equilibrium="sgd",
        update="sgd",
        default=0.0,
        skips=_ALL_TENSORS,
        skips_nothing=True,
        version=_TORCH,
        source="torch/optim/sgd.py",
        note="momentum multiplies the decay by about 1/(1 − momentum); the first "
        "buffer is not dampened",
    ),
    _coupled_adaptive("Adam", "adam"),
    _decoupled("Adam:decoupled", "adam", 0.0, _OFF),
    _decoupled("AdamW", "adamw", 1e-2),
    _coupled_adaptive("NAdam", "nadam"),
    _decoupled("NAdam:decoupled", "nadam", 0.0, _OFF),
    _coupled_adaptive("RAdam", "radam"),
    _decoupled("RAdam:decoupled", "radam", 0.0, _OFF),
    _coupled_adaptive("RMSprop", "rmsprop"),
    _coupled_adaptive("Adagrad", "adagrad", epsilon=1e-10),
    _coupled_adaptive(
        "Adadelta",
        "adadelta",
        "has no half-life; its steps start tiny, so a huge one does show",
        epsilon=1e-6,
    ),
    _coupled_adaptive("Adamax", "adamax"),
    _decoupled(
        "Adafactor",
        "_adafactor",
        0.0,
        "decays by the lr that was given, not by its relative step, which shrinks; "
        "the docstring gives another default",
    ),
    _decoupled(
        "Muon",
        "_muon",
        0.1,
        "decays by the lr before it is adjusted to the shape; matrices only",
    ),
    Knob(
        name="torch.optim.ASGD",
        formula="gradient + weight_decay·w, and lambd = 1e-4 decays as well",
        unit=_COEFFICIENT,
        family="asgd",
        penalty="canonical:asgd",
        default=0.0,
        skips=_ALL_TENSORS,
        skips_nothing=True,
        version=_TORCH,
        source="torch/optim/asgd.py",
        note="lambd decays even with weight_decay=0, and the step size falls by itself",
    ),
    Knob(
        name="torch.optim.ASGD:lambd",
        symbol="lambd",
        formula="w ← w − e_t·lambd·w with e_t = lr/(1 + lambd·lr·t)^0.75",
        unit=_PER_LR,
        family="asgd-lambd",
        penalty="canonical",
        default=1e-4,
        skips=_ALL_TENSORS,
        skips_nothing=True,
        version=_TORCH,
        source="torch/optim/asgd.py",
        note="on by default; taken here with weight_decay=0",
    ),
)
