"""The table of knobs: what each number means, its default, and where that was read."""

from collections.abc import Mapping
from types import MappingProxyType

from dwindle.decay.half_life import CLOCKS
from dwindle.decay.knob import Knob, resolve

__all__ = ["KNOBS", "Knob", "knobs", "resolve_knob"]

_TORCH = "torch 2.13.0"
_ALL_TENSORS = "nothing: biases and norms decay too"
_COEFFICIENT = "coefficient of half the sum of squares"
_PER_LR = "shrink per step / lr"
_FULL_L2 = "coefficient of the sum of squares"


def _coupled_adaptive(name: str, file: str, note: str = "") -> Knob:
    """Build the record of a torch optimizer that divides its decay by √v."""
    return Knob(
        name=f"torch.optim.{name}",
        formula="gradient + weight_decay·w, then divided by the gradient's own size",
        unit=_COEFFICIENT,
        family="coupled-adaptive",
        penalty="canonical",
        default=0.0,
        skips=_ALL_TENSORS,
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
        equilibrium="adamw"
        if file.startswith("adamw") or name == "Adam:decoupled"
        else None,
        default=default,
        skips=_ALL_TENSORS,
        version=_TORCH,
        source=f"torch/optim/{file}.py",
        note=note,
    )


_OFF = "with decoupled_weight_decay=True, which is off by default"

_TORCH_KNOBS = (
    Knob(
        name="torch.optim.SGD",
        formula="gradient + weight_decay·w, before the momentum",
        unit=_COEFFICIENT,
        family="coupled-sgd",
        penalty="canonical",
        equilibrium="sgd",
        default=0.0,
        skips=_ALL_TENSORS,
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
    _coupled_adaptive("Adagrad", "adagrad"),
    _coupled_adaptive(
        "Adadelta",
        "adadelta",
        "has no half-life; its steps start tiny, so a huge one does show",
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
        version=_TORCH,
        source="torch/optim/asgd.py",
        note="on by default; taken here with weight_decay=0",
    ),
)

_OTHER_LIBRARIES = (
    Knob(
        name="keras.regularizers.L2",
        symbol="l2",
        formula="mean loss + l2·Σw²: no factor 1/2",
        unit=_FULL_L2,
        penalty="without-half",
        default=0.01,
        skips="everything that it is not attached to",
        version="keras 3.15.1",
        source="keras/src/regularizers/regularizers.py",
        note="part of the loss, whatever the optimizer; the optimizers' own "
        "weight_decay is another thing",
        aliases=("keras.regularizers.l2", "tf.keras.regularizers.L2"),
    ),
    Knob(
        name="sklearn.linear_model.LogisticRegression:C",
        symbol="C",
        formula="C·Σ of all losses + (1/2)·Σw²",
        unit="inverse of the penalty",
        penalty="inverse-data-sum",
        default=1.0,
        skips="the intercept (except with solver='liblinear')",
        version="scikit-learn 1.9.1",
        source="sklearn/linear_model/_logistic.py",
        note="the larger, the weaker the penalty",
        aliases=("sklearn.linear_model.LogisticRegression",),
    ),
)

_QUESTION = "the question (Cross Validated)"
_ANSWER = "the answer to the question (Cross Validated)"
_BENGIO = "Bengio 2012, arXiv 1206.5533"
_LOSHCHILOV = "Loshchilov & Hutter 2019, arXiv 1711.05101"

_FROM_TEXTS = (
    Knob(
        name="question.l2",
        symbol="l2",
        formula="mean loss + l2·Σw²",
        unit=_FULL_L2,
        penalty="without-half",
        source=_QUESTION,
        note="its gradient is 2·l2·w",
    ),
    Knob(
        name="question.l2:layer-mean",
        symbol="l2",
        formula="mean loss + Σ_j l2/(L·n_j·n_{j+1})·Σw²",
        unit="coefficient before division by layers and units",
        penalty="without-half:layer-mean",
        source=_QUESTION,
        note="another penalty for every layer; needs the units",
    ),
    Knob(
        name="question.l2:global-mean",
        symbol="l2",
        formula="mean loss + l2/(number of weights)·Σw²",
        unit="coefficient before division by the number of weights",
        penalty="without-half:global-mean",
        source=_QUESTION,
        note="one divisor for all layers; needs the units",
    ),
    Knob(
        name="answer.decay",
        symbol="decay",
        formula="gradient + decay·w",
        unit=_COEFFICIENT,
        penalty="canonical",
        source=_ANSWER,
        note="half of the question's: that one's gradient has a factor 2",
    ),
    Knob(
        name="answer.batch-sum",
        symbol="l2",
        formula="Σ of the losses of a minibatch of B + l2·Σw²",
        unit=_FULL_L2,
        penalty="batch-sum",
        source=_ANSWER,
        note="the answer's reading of Bengio: B times the question's",
    ),
    Knob(
        name="bengio2012.l2",
        symbol="l2",
        formula="Σ of all N losses + l2·Σw², of which a minibatch of B takes B/N",
        unit=_FULL_L2,
        penalty="data-sum",
        source=_BENGIO,
        note="N times the question's",
    ),
    Knob(
        name="gaussian-prior.sigma",
        symbol="σ",
        formula="prior of a weight: normal with standard deviation σ",
        unit="standard deviation",
        penalty="prior",
        source="the negative logarithm of a normal density",
        note="the loss must be a negative log-likelihood",
    ),
    Knob(
        name="neal1996.omega",
        symbol="ω",
        formula="prior of a weight: normal with standard deviation ω/√fan_in",
        unit="standard deviation times √fan_in",
        penalty="prior:fan-in",
        source="Neal 1996, Bayesian Learning for Neural Networks",
        note="another penalty for every fan-in; needs the units",
    ),
    Knob(
        name="loshchilov2019.lambda",
        symbol="λ_LH",
        formula="w ← w − m_t·λ_LH·w with m_t the schedule's multiplier",
        unit="shrink per step",
        family="schedule-only",
        source=f"{_LOSHCHILOV}, algorithm 2",
        note="not multiplied by the lr: AdamW libraries do that",
    ),
    Knob(
        name="loshchilov2019.lambda-norm",
        symbol="λ_norm",
        formula="w ← w − m_t·λ_norm·√(B/(N·epochs))·w, the root being 1/√steps",
        unit="shrink per step · √steps",
        family="schedule-only",
        over_root_steps=True,
        source=f"{_LOSHCHILOV}, appendix B.1",
        note="they found 0.025 to 0.05 best on CIFAR-10 and ImageNet32",
    ),
)


def _half_life(name: str, clock: str | None) -> Knob:
    on_clock = "time" if clock is None else "share of the run"
    unit = on_clock if clock in {None, "run"} else str(clock)
    return Knob(
        name=name,
        symbol="h",
        formula="half of a weight with zero gradient is left after h, at the peak lr",
        unit=unit,
        clock=next((known for known in CLOCKS if known == clock), None),
        source="a definition",
    )


_RATES = (
    _half_life("half-life", None),
    *(_half_life(f"half-life:{clock}", clock) for clock in CLOCKS),
    Knob(
        name="shrink",
        symbol="s",
        formula="w ← w − s·w at the peak lr",
        unit="fraction per step",
        source="a definition",
        note='may be written as a percentage: shrink="0.1%"',
    ),
)

KNOBS: Mapping[str, Knob] = MappingProxyType(
    {
        knob.name: knob
        for knob in (*_TORCH_KNOBS, *_OTHER_LIBRARIES, *_RATES, *_FROM_TEXTS)
    }
)


def knobs() -> tuple[Knob, ...]:
    """Return every knob that dwindle can read.

    Example:
        >>> [knob.name for knob in knobs() if knob.family == "coupled-sgd"]
        ['torch.optim.SGD']

    """
    return tuple(KNOBS.values())


def resolve_knob(name: str) -> Knob:
    """Find a knob by its name, or by a short name that only one has.

    Raises:
        AmbiguousNameError: If the short name fits several knobs; they are listed.
        UnknownNameError: If it fits none; the nearest are offered.

    Example:
        >>> resolve_knob("torch.AdamW").name
        'torch.optim.AdamW'

    """
    return resolve(name, KNOBS)
