"""Checks of scikit-learn: the same optimum, the same trajectory, zero gradients."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from frameworks.checks.check import Check, zero_gradient

from dwindle.decay.convert import convert
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule

_N, _FEATURES = 60, 5
_OPTIMUM = "both solvers stop at a gradient of 1e-8 or less"
_BATCH = 12


def _data() -> tuple[Any, Any, Any]:
    """Inputs, numbers and classes of a small problem, not separable."""
    random = np.random.default_rng(5)
    inputs = random.normal(size=(_N, _FEATURES))
    numbers = inputs @ random.normal(size=_FEATURES) + random.normal(size=_N)
    return inputs, numbers, (numbers > 0.3).astype(int)


def _canonical(problem: "_Problem", targets: Any, penalty: float) -> list[float]:
    """Minimum of mean loss + (penalty/2)·Σw², by torch's L-BFGS in float64."""
    inputs = torch.as_tensor(_data()[0])
    y = torch.as_tensor(targets).double()
    weight = torch.zeros(_FEATURES + 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight],
        max_iter=2000,
        tolerance_grad=1e-12,
        tolerance_change=1e-16,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Any:
        optimizer.zero_grad()
        mean = problem.loss(inputs @ weight[:-1] + weight[-1], y).mean()
        pays = weight if problem.intercept_pays else weight[:-1]
        value = mean + penalty / 2 * pays.square().sum()
        value.backward()
        return value

    optimizer.step(closure)
    return list(weight.detach().tolist())


def _logistic(scores: Any, y: Any) -> Any:
    return torch.nn.functional.binary_cross_entropy_with_logits(
        scores, y, reduction="none"
    )


def _squared_hinge(scores: Any, y: Any) -> Any:
    return (1 - (2 * y - 1) * scores).clamp(min=0).square()


def _squared(scores: Any, y: Any) -> Any:
    return (scores - y).square()


@dataclass(frozen=True)
class _Problem:
    """What is minimized beside the penalty, and whether an intercept pays for it."""

    loss: Callable[[Any, Any], Any]
    classes: bool = True
    intercept_pays: bool = False


def _optimum(
    knob: str, number: float, estimator: Callable[[], Any], problem: _Problem
) -> Check:
    """Their solution is that of mean loss + (λ/2)·Σw² with the λ that convert gives."""
    run = Run(dataset_size=_N, batch_size=_N)

    def theirs() -> list[float]:
        inputs, numbers, labels = _data()
        fitted = estimator().fit(inputs, labels if problem.classes else numbers)
        intercept = fitted.intercept_
        last = intercept[0] if hasattr(intercept, "__len__") else intercept
        return [*map(float, fitted.coef_.ravel()), float(last)]

    def ours() -> list[float]:
        there = convert(number, knob, to="answer.decay", run=run)
        # The elastic net has an L1 term too, which is off in its check alone.
        is_whole = not knob.endswith("ElasticNet")
        assert there.fidelity == ("same-objective" if is_whole else "approximate")
        targets = _data()[2 if problem.classes else 1]
        return _canonical(problem, targets, float(there.value or 0))

    return Check(
        knob=knob,
        library="scikit-learn",
        kind="same optimum",
        settings=f"{number:g}, {_N} examples, {_FEATURES} weights and an intercept",
        theirs=theirs,
        ours=ours,
        rel=1e-6,
        why=_OPTIMUM,
    )


def _optima() -> Iterator[Check]:
    linear, exact = "sklearn.linear_model.", {"tol": 1e-12, "max_iter": 100_000}

    def of(module: str, name: str, **options: Any) -> Callable[[], Any]:
        def build() -> Any:
            import importlib

            return getattr(importlib.import_module(f"sklearn.{module}"), name)(
                **(exact | options)
            )

        return build

    logistic = of("linear_model", "LogisticRegression", C=0.7, solver="newton-cholesky")
    yield _optimum(f"{linear}LogisticRegression:C", 0.7, logistic, _Problem(_logistic))
    pays = _Problem(_logistic, intercept_pays=True)
    liblinear = of("linear_model", "LogisticRegression", C=0.7, solver="liblinear")
    yield _optimum(f"{linear}LogisticRegression:liblinear", 0.7, liblinear, pays)
    pays = _Problem(_squared_hinge, intercept_pays=True)
    hinge = of("svm", "LinearSVC", C=0.3, dual=False)
    yield _optimum("sklearn.svm.LinearSVC:C", 0.3, hinge, pays)
    squared = _Problem(_squared, classes=False)
    ridge = of("linear_model", "Ridge", alpha=3.0, solver="cholesky")
    yield _optimum(f"{linear}Ridge", 3.0, ridge, squared)
    net = of("linear_model", "ElasticNet", alpha=0.2, l1_ratio=0.0)
    yield _optimum(f"{linear}ElasticNet", 0.2, net, squared)


class _Perceptron:
    """A small net in torch with the weights that sklearn starts from."""

    def __init__(self, fitted: Any, *, squared: bool) -> None:
        self.squared = squared
        self.matrices = [
            torch.tensor(each, requires_grad=True) for each in fitted.coefs_
        ]
        self.biases = [
            torch.tensor(each, requires_grad=True) for each in fitted.intercepts_
        ]

    def loss(self, inputs: Any, targets: Any) -> Any:
        """Mean loss as torch has it: the squared error is not halved."""
        x, y = torch.as_tensor(inputs), torch.as_tensor(targets).double()
        for number, (matrix, bias) in enumerate(
            zip(self.matrices, self.biases, strict=True)
        ):
            x = x @ matrix + bias
            if number < len(self.matrices) - 1:
                x = torch.tanh(x)
        scores = x[:, 0]
        return (_squared if self.squared else _logistic)(scores, y).mean()

    def flat(self) -> list[float]:
        return [
            float(each)
            for matrix in self.matrices
            for each in matrix.detach().flatten().tolist()
        ]


def _mlp(name: str, **options: Any) -> Any:
    import sklearn.neural_network

    return getattr(sklearn.neural_network, name)(
        hidden_layer_sizes=(4,),
        activation="tanh",
        batch_size=_BATCH,
        shuffle=False,
        random_state=3,
        **options,
    )


def _epochs(model: Any, *, squared: bool, start_only: bool = False) -> Any:
    """Fit five epochs; without any, only the initial weights."""
    import warnings

    inputs, numbers, labels = _data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # five epochs do not converge
        if start_only:
            model.set_params(learning_rate_init=1e-300, max_iter=1)
        return model.fit(inputs, numbers if squared else labels)


def _trained(name: str, solver: str) -> Check:
    """Five epochs of sklearn's own loop, and of torch's optimizer with our number."""
    squared, alpha, lr = name == "MLPRegressor", 0.8, 0.05
    knob = f"sklearn.neural_network.{name}:{solver}"
    target = {"sgd": "torch.optim.SGD", "adam": "torch.optim.Adam"}[solver]
    run = Run(lr=lr, batch_size=_BATCH, dataset_size=_N)
    options = {"solver": solver, "alpha": alpha, "learning_rate_init": lr}
    options |= {
        "sgd": {"momentum": 0.9, "nesterovs_momentum": False},
        # Their eps stands elsewhere in the fraction, so neither has one.
        "adam": {"epsilon": 1e-30},
    }[solver]

    def theirs() -> list[float]:
        fitted = _epochs(_mlp(name, max_iter=5, **options), squared=squared)
        return [float(each) for matrix in fitted.coefs_ for each in matrix.ravel()]

    def ours() -> list[float]:
        begun = _mlp(name, **options)
        net = _Perceptron(
            _epochs(begun, squared=squared, start_only=True), squared=squared
        )
        there = convert(alpha, knob, to=target, run=run)
        _torch_epochs(net, solver, float(there.value or 0), lr)
        return net.flat()

    return Check(
        knob=knob,
        library="scikit-learn",
        kind="same trajectory",
        settings=f"{alpha:g} against {target}, lr {lr:g}, batch {_BATCH}, 25 steps",
        theirs=theirs,
        ours=ours,
        why="25 steps in float64, each of some dozens of roundings at 1e-16",
    )


def _torch_epochs(net: _Perceptron, solver: str, penalty: float, lr: float) -> None:
    """The same five epochs in torch; a halved loss is half the lr for SGD."""
    groups = [
        {"params": net.matrices, "weight_decay": penalty},
        {"params": net.biases, "weight_decay": 0.0},
    ]
    optimizer: Any
    if solver == "sgd":
        halved = lr / 2 if net.squared else lr
        optimizer = torch.optim.SGD(groups, lr=halved, momentum=0.9)
    else:
        optimizer = torch.optim.Adam(groups, lr=lr, eps=1e-30)
    inputs, numbers, labels = _data()
    targets = numbers if net.squared else labels
    for _ in range(5):
        for first in range(0, _N, _BATCH):
            part = slice(first, first + _BATCH)
            optimizer.zero_grad()
            net.loss(inputs[part], targets[part]).backward()
            optimizer.step()


def _lbfgs(name: str) -> Check:
    """Where sklearn stops, the gradient of our objective is zero: at least 1e-5."""
    squared, alpha = name == "MLPRegressor", 6.0
    knob = f"sklearn.neural_network.{name}:lbfgs"

    def theirs() -> list[float]:
        options = {"solver": "lbfgs", "alpha": alpha, "tol": 1e-13, "max_iter": 20_000}
        fitted = _epochs(_mlp(name, max_fun=100_000, **options), squared=squared)
        net = _Perceptron(fitted, squared=squared)
        inputs, numbers, labels = _data()
        net.loss(inputs, numbers if squared else labels).backward()
        return [
            float(each)
            for matrix in net.matrices
            for each in (-matrix.grad / matrix.detach()).flatten().tolist()
            if matrix.grad is not None
        ]

    def ours() -> list[float]:
        run = Run(dataset_size=_N, batch_size=_N)
        there = convert(alpha, knob, to="answer.decay", run=run)
        count = _FEATURES * 4 + 4
        return [float(there.value or 0)] * count

    return Check(
        knob=knob,
        library="scikit-learn",
        kind="same optimum",
        settings=f"{alpha:g}, {_N} examples: −gradient of the loss over the weight",
        theirs=theirs,
        ours=ours,
        rel=1e-2,
        why="L-BFGS stops at a gradient of 1e-6 or so, small weights divide it",
    )


def _left_of_sgd(name: str, schedule: str) -> Callable[[float, Run], list[float]]:
    """Inputs of zero pull at no weight: only the decay acts, once per example."""

    def measure(number: float, run: Run) -> list[float]:
        import sklearn.linear_model

        kind = getattr(sklearn.linear_model, name)
        model = kind(
            alpha=number,
            learning_rate=schedule,
            eta0=float(run.require("lr", "It")),
            max_iter=1,
            tol=None,
            shuffle=False,
        )
        count = run.total_steps
        start = np.asarray([[2.0, -3.0, 0.5, 11.0]])
        inputs, targets = np.zeros((count, 4)), np.arange(count) % 2
        begun = start.copy()  # the fit writes into it
        model.fit(inputs, targets, coef_init=begun if "Class" in name else begun[0])
        return [float(each) for each in (model.coef_ / start).ravel()]

    return measure


def _optimal() -> Check:
    """The power law (t0 − 1)/(t0 + n − 1), with t0 as the source has it."""
    alpha, count = 0.02, 500

    def ours() -> list[float]:
        import math

        typical = math.sqrt(1 / math.sqrt(alpha))
        # The hinge loss has a slope of −1 where sklearn evaluates it.
        t0 = 1 / (typical * alpha)
        return [(t0 - 1) / (t0 + count - 1)] * 4

    return Check(
        knob="sklearn.linear_model.SGDClassifier:optimal",
        library="scikit-learn",
        kind="no rate",
        settings=f"{alpha:g}, {count} examples: a power law",
        theirs=lambda: _left_of_sgd("SGDClassifier", "optimal")(
            alpha, Run(lr=1.0, steps=count)
        ),
        ours=ours,
    )


def _checks() -> Iterator[Check]:
    yield from _optima()
    for name in ("MLPClassifier", "MLPRegressor"):
        yield _trained(name, "sgd")
        yield _trained(name, "adam")
        yield _lbfgs(name)
    run = Run(lr=0.05, steps=300)
    for name in ("SGDClassifier", "SGDRegressor"):
        yield zero_gradient(
            f"sklearn.linear_model.{name}:constant",
            "scikit-learn",
            _left_of_sgd(name, "constant"),
            run=run,
        )
    fourth_root = Schedule(shape="inverse-power", power=0.25, period="1 step")
    yield zero_gradient(
        "sklearn.linear_model.SGDRegressor:invscaling",
        "scikit-learn",
        _left_of_sgd("SGDRegressor", "invscaling"),
        run=Run(lr=0.05, steps=300, schedule=fourth_root),
    )
    yield _optimal()


CHECKS = tuple(_checks())
