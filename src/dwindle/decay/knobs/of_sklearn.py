"""The knobs of scikit-learn: alpha and C, each over another sum."""

from dataclasses import replace

from dwindle.decay.knob import Knob

_SKLEARN = "scikit-learn 1.9.1"
_MLP = "sklearn/neural_network/_multilayer_perceptron.py"
_LOGISTIC = "sklearn/linear_model/_logistic.py"
_SGD = "sklearn/linear_model/_sgd_fast.pyx.tp"
_COEFFICIENT = "coefficient of half the sum of squares"
_BIAS = "biases"
_INTERCEPT = "the intercept"


def _mlp(name: str, *, squared: bool) -> tuple[Knob, ...]:
    """Build the records of a perceptron: every solver divides alpha by another sum."""
    prefix = "half-squared:" if squared else "half-"
    of_a_loss = "half the squared errors" if squared else "the losses"
    sgd = Knob(
        name=f"sklearn.neural_network.{name}:sgd",
        symbol="alpha",
        formula=f"mean of {of_a_loss} of a minibatch of B + alpha/(2·B)·Σw²",
        unit="coefficient before division by the minibatch",
        family="coupled-sgd",
        scale="/B",
        penalty=f"{prefix}batch-sum",
        default=1e-4,
        skips=_BIAS,
        version=_SKLEARN,
        source=_MLP,
        note="divided by the minibatch, not by the number of examples: half the batch "
        "is twice the decay; momentum 0.9 and Nesterov are on by default, and an "
        "lr that changes acts later than in torch, being inside the momentum",
    )
    adam = replace(
        sgd,
        name=f"sklearn.neural_network.{name}:adam",
        family="coupled-adaptive",
        scale="",
        update="adam:epsilon-hat",
        epsilon=1e-8,
        note="the default solver; divided by the minibatch, not by the number of "
        "examples, and then by the gradient's own size",
        aliases=(f"sklearn.neural_network.{name}",),
    )
    lbfgs = replace(
        sgd,
        name=f"sklearn.neural_network.{name}:lbfgs",
        formula=f"mean of {of_a_loss} of all N + alpha/(2·N)·Σw²",
        unit="coefficient before division by the number of examples",
        family=None,
        scale="",
        penalty=f"{prefix}data-sum",
        note="only here alpha is divided by the number of examples",
    )
    return sgd, adam, lbfgs


_NO_BIAS_SPARED = "nothing: the intercept is penalized too"


def _inverse(name: str, source: str, skips: str, note: str) -> Knob:
    return Knob(
        name=f"sklearn.{name}",
        symbol="C",
        formula="C·Σ of all losses + (1/2)·Σw²",
        unit="inverse of the penalty",
        penalty="inverse-data-sum",
        default=1.0,
        skips=skips,
        skips_nothing=skips == _NO_BIAS_SPARED,
        version=_SKLEARN,
        source=source,
        note=note,
        aliases=(f"sklearn.{name.partition(':')[0]}",) if name.endswith(":C") else (),
    )


def _sgd(name: str, penalty: str, note: str) -> Knob:
    return Knob(
        name=f"sklearn.linear_model.{name}",
        symbol="alpha",
        formula="w ← w − lr·alpha·w after every example (l1_ratio 0)",
        unit=_COEFFICIENT,
        family="coupled-sgd",
        penalty=penalty,
        default=1e-4,
        skips=_INTERCEPT,
        version=_SKLEARN,
        source=_SGD,
        note=f"{note}; with penalty='elasticnet' the number is alpha·(1 − l1_ratio), "
        "and the L1 term is left out here",
    )


SKLEARN_KNOBS = (
    *_mlp("MLPClassifier", squared=False),
    *_mlp("MLPRegressor", squared=True),
    _inverse(
        "linear_model.LogisticRegression:C",
        _LOGISTIC,
        "the intercept (except with solver='liblinear')",
        "the larger, the weaker the penalty; with an l1_ratio the number is "
        "C/(1 − l1_ratio), and the L1 term is left out here",
    ),
    _inverse(
        "linear_model.LogisticRegression:liblinear",
        _LOGISTIC,
        _NO_BIAS_SPARED,
        "the intercept is a weight of a feature intercept_scaling, so it pays as well",
    ),
    _inverse(
        "svm.LinearSVC:C",
        "sklearn/svm/_classes.py",
        _NO_BIAS_SPARED,
        "the loss is the squared hinge; the intercept pays as in liblinear",
    ),
    Knob(
        name="sklearn.linear_model.Ridge",
        symbol="alpha",
        formula="Σ of all N squared errors + alpha·Σw²",
        unit="coefficient of the sum of squares",
        penalty="data-sum",
        default=1.0,
        skips=_INTERCEPT,
        version=_SKLEARN,
        source="sklearn/linear_model/_ridge.py",
        note="λ is stated beside the mean squared error, as torch.nn.MSELoss has it",
    ),
    Knob(
        name="sklearn.linear_model.ElasticNet",
        symbol="alpha·(1 − l1_ratio)",
        formula="half the mean squared error + alpha·(1 − l1_ratio)/2·Σw² + L1",
        unit=_COEFFICIENT,
        penalty="half-squared",
        default=0.5,
        skips=_INTERCEPT,
        version=_SKLEARN,
        source="sklearn/linear_model/_coordinate_descent.py",
        note="the number is alpha·(1 − l1_ratio), the share of the squares; 0.5 is "
        "alpha=1 with l1_ratio=0.5",
        caution="{name}: the number is alpha·(1 − l1_ratio), not alpha: with the "
        "default l1_ratio, 0.5, alpha=1 is 0.5 here. The L1 term, "
        "alpha·l1_ratio·Σ|w|, is left out.",
        beside_l1=True,
    ),
    _sgd(
        "SGDClassifier:constant",
        "canonical",
        "with learning_rate='constant' and eta0 = lr; a step is one example",
    ),
    _sgd(
        "SGDRegressor:constant",
        "half-squared",
        "with learning_rate='constant' and eta0 = lr; a step is one example, and the "
        "loss half a squared error",
    ),
    Knob(
        name="sklearn.linear_model.SGDClassifier:optimal",
        symbol="alpha",
        formula="w ← w − w/(t₀ + t − 1): alpha is only in t₀",
        unit=_COEFFICIENT,
        family="optimal-schedule",
        penalty="canonical",
        default=1e-4,
        skips=_INTERCEPT,
        version=_SKLEARN,
        source=_SGD,
        note="the default schedule: lr·alpha has no alpha in it, and a weight with "
        "zero gradient decays by a power law",
        aliases=("sklearn.linear_model.SGDClassifier",),
    ),
)
