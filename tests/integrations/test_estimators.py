"""The best parameter of a scikit-learn estimator, by folds."""

import math

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.model_selection import RepeatedKFold, StratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC, LinearSVR

import dwindle
from dwindle.errors import (
    RangeError,
    StoreUnlikeError,
    UnknownNameError,
    UsageError,
)
from dwindle.integrations import find_for_estimator
from dwindle.integrations.estimators import _knob_of

X, Y = make_classification(120, 12, flip_y=0.3, random_state=0)
FEW = {"low": 1e-3, "high": 1e3, "trainings": 12}
PLAIN = LogisticRegression(max_iter=2000)


def losses_of(found):
    return {(each.weight_decay, each.seed): each.loss for each in found.curve}


def test_the_losses_are_those_of_cross_validation():
    """Fold by fold what scikit-learn's own function has, and C = inf is no penalty."""
    found = find_for_estimator(PLAIN, "C", X, Y, **FEW)
    assert any(math.isinf(each.weight_decay) for each in found.curve)
    cut = StratifiedKFold(5, shuffle=True, random_state=0)
    for (number, seed), loss in losses_of(found).items():
        scores = cross_val_score(
            clone(PLAIN).set_params(C=number), X, Y, cv=cut, scoring="neg_log_loss"
        )
        assert loss == pytest.approx(-scores[seed], rel=1e-9)
    assert found.paired is not False
    assert found.conditions["metric"] == "log_loss"
    assert "log_loss" in found.notes[0]


def test_the_answer_converts():
    """The knob is that of the class, and the examples of a fold's rest are a fact."""
    found = find_for_estimator(PLAIN, "C", X, Y, **FEW)
    assert found.conditions["facts"] == {"dataset_size": 96}
    there = dwindle.convert(
        found.value,
        found.knob,
        to="sklearn.linear_model.SGDClassifier:constant",
        run=found.conditions["facts"],
    )
    assert there.value == pytest.approx(1 / (found.value * 96))


def test_nothing_of_the_caller_s_is_fitted():
    """Neither the estimator, nor a step of a pipeline, nor the data changes."""
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=3.0))
    before = X.copy(), Y.copy()
    name = "logisticregression__C"
    find_for_estimator(pipeline, name, X, Y, low=1e-2, high=1e2, trainings=5)
    assert pipeline.get_params()[name] == 3.0
    assert not hasattr(pipeline[0], "mean_")
    assert not hasattr(pipeline[1], "coef_")
    np.testing.assert_array_equal(before[0], X)
    np.testing.assert_array_equal(before[1], Y)


def test_a_store_goes_on_and_belongs_to_its_data(tmp_path):
    """The same call trains nothing again; others are refused."""
    options = {"store": tmp_path / "kept.db", **FEW}
    first = find_for_estimator(PLAIN, "C", X, Y, **options)
    assert find_for_estimator(PLAIN, "C", X.copy(), Y, **options).curve == first.curve
    for what, estimator, data in (
        ("data", PLAIN, X + 1e-9),
        ("estimator", LogisticRegression(), X),
    ):
        with pytest.raises(StoreUnlikeError) as raised:
            find_for_estimator(estimator, "C", data, Y, **options)
        ((name, *_),) = raised.value.differences
        assert name == f"contents of the {what}"


def test_folds_after_the_last_are_new():
    """Data is shuffled anew, so that no seed is another one again."""
    few = {**FEW, "trainings": 18}
    found = find_for_estimator(Ridge(), "alpha", X, Y.astype(float), folds=2, **few)
    assert {each.seed for each in found.curve} >= {0, 1, 2, 3}
    losses = losses_of(found)
    assert len(set(losses.values())) == len(losses)


def test_what_is_random_in_an_estimator_is_that_of_the_seed():
    """A network starts alike for every value of a fold, and in another run."""
    network = MLPClassifier((4,), max_iter=5)
    few = {"low": 1e-3, "high": 10, "trainings": 5}
    with pytest.warns(ConvergenceWarning):
        first, again = (
            find_for_estimator(network, "alpha", X, Y, **few) for _ in range(2)
        )
    assert first.curve == again.curve
    assert first.knob == "sklearn.neural_network.MLPClassifier:adam"


def test_groups_stay_together():
    """No example of a group that is held out is trained on."""
    seen = []

    class Spy(Ridge):
        def fit(self, inputs, targets):
            seen.append(set(inputs[:, 0]))
            return super().fit(inputs, targets)

    groups = np.repeat(np.arange(12.0), 10)
    data = np.column_stack([groups, X])
    few = {"low": 1, "high": 100, "trainings": 5}
    find_for_estimator(Spy(), "alpha", data, Y.astype(float), groups=groups, **few)
    assert all(len(kept) in (9, 10) for kept in seen)


@pytest.mark.parametrize(
    ("estimator", "parameter", "scoring", "metric", "larger"),
    [
        (RidgeClassifier(), "alpha", None, "hinge_loss", False),
        (Ridge(), "alpha", None, "mean_squared_error", False),
        (PLAIN, "C", "accuracy", "accuracy", True),
        (PLAIN, "C", "neg_brier_score", "neg_brier_score", False),
        (PLAIN, "C", lambda model, x, y: model.score(x, y), "<lambda>", True),
    ],
)
def test_the_loss_fits_the_estimator(estimator, parameter, scoring, metric, larger):
    """A loss by default, a score where one is chosen; both are named."""
    few = {"low": 1e-2, "high": 10, "trainings": 5, "scoring": scoring}
    found = find_for_estimator(estimator, parameter, X, Y, **few)
    assert found.conditions["metric"] == metric
    assert found.conditions["maximize"] is larger
    assert all(each.loss >= 0 for each in found.curve)


KNOBS = [
    (LogisticRegression(), "C", "sklearn.linear_model.LogisticRegression:C"),
    (
        LogisticRegression(solver="liblinear"), "C",
        "sklearn.linear_model.LogisticRegression:liblinear",
    ),
    (
        LogisticRegression(l1_ratio=0.5, solver="saga"), "C",
        "own:LogisticRegression.C:inverse",
    ),
    (LinearSVC(), "C", "sklearn.svm.LinearSVC:C"),
    (LinearSVC(penalty="l1"), "C", "own:LinearSVC.C:inverse"),
    (LinearSVR(), "C", "own:LinearSVR.C:inverse"),
    (SVC(), "C", "own:SVC.C:inverse"),
    (Ridge(), "alpha", "sklearn.linear_model.Ridge"),
    (Ridge(), "tol", "own:Ridge.tol"),
    (Lasso(), "alpha", "own:Lasso.alpha"),
    (ElasticNet(), "alpha", "own:ElasticNet.alpha"),
    (KernelRidge(), "alpha", "own:KernelRidge.alpha"),
    (SGDClassifier(), "alpha", "sklearn.linear_model.SGDClassifier:optimal"),
    (
        SGDClassifier(learning_rate="constant"), "alpha",
        "sklearn.linear_model.SGDClassifier:constant",
    ),
    (SGDRegressor(), "alpha", "own:SGDRegressor.alpha"),
    (SGDClassifier(penalty="l1"), "alpha", "own:SGDClassifier.alpha"),
    (
        MLPClassifier(solver="lbfgs"), "alpha",
        "sklearn.neural_network.MLPClassifier:lbfgs",
    ),
]  # fmt: skip


def test_the_knob_is_that_of_the_penalty():
    """Only where the parameter is the L2 penalty of a record; else it is a number."""
    wrong = {
        wanted: found
        for estimator, name, wanted in KNOBS
        if (found := _knob_of(estimator, name)) != wanted
    }
    assert wrong == {}


def test_a_parameter_without_record_is_found_all_the_same():
    """Its number is searched over, backwards for a C, and the answer claims no more."""
    few = {"low": 1e-2, "high": 100, "trainings": 14}
    found = find_for_estimator(SVC(), "C", X, Y, **few)
    assert (found.knob, found.symbol) == ("own:SVC.C:inverse", "C")
    assert (found.place, found.line[:4]) == ("SVC.C", "C = ")
    assert found.low < found.value < found.high
    assert not any(math.isinf(each.weight_decay) for each in found.curve)
    assert "inf" in found.notes[1]
    assert (dict(found.half_life), found.e_folds) == ({}, None)


def test_a_regression_finds_its_ridge():
    """The interval holds the best value of other cuts of the same data."""
    data, targets = make_regression(80, 40, noise=60.0, random_state=1)
    found = find_for_estimator(Ridge(), "alpha", data, targets, low=0.1, high=1e3)
    grid = np.geomspace(0.5, 50, 9)
    # Of ten folds the best is 8.9, of a hundred 7.3.
    cuts = RepeatedKFold(n_splits=5, n_repeats=5, random_state=100)
    scores = [
        cross_val_score(
            Ridge(alpha), data, targets, cv=cuts, scoring="neg_mean_squared_error"
        ).mean()
        for alpha in grid
    ]
    assert found.low < grid[np.argmax(scores)] < found.high


def test_what_makes_no_sense_is_refused():
    """A class instead of an estimator, impossible folds, an unknown parameter."""
    for given, error, fact in (
        ((Ridge, "alpha", 5), UsageError, ("got", "the class Ridge")),
        ((PLAIN, "C", 1), RangeError, ("name", "folds")),
        ((PLAIN, "C", 121), RangeError, ("name", "folds")),
        ((PLAIN, "c", 5), UnknownNameError, ("name", "c")),
    ):
        estimator, name, folds = given
        with pytest.raises(error) as raised:
            find_for_estimator(estimator, name, X, Y, low=1, high=2, folds=folds)
        assert getattr(raised.value, fact[0]) == fact[1]


class Threshold(ClassifierMixin, BaseEstimator):
    """Gives labels, and neither probabilities nor margins."""

    def __init__(self, at=1.0):
        self.at = at

    def fit(self, _inputs, targets):
        self.classes_ = np.unique(targets)
        return self

    def predict(self, inputs):
        return (inputs[:, 1] > self.at).astype(int)


def test_a_classifier_that_gives_labels_only():
    """Its share of wrong labels is the loss."""
    few = {"low": 0.1, "high": 2, "trainings": 5}
    found = find_for_estimator(Threshold(), "at", X, Y, **few)
    cut = StratifiedKFold(5, shuffle=True, random_state=0)
    for (number, seed), loss in losses_of(found).items():
        assert loss == pytest.approx(
            1 - cross_val_score(Threshold(number), X, Y, cv=cut)[seed]
        )
    assert found.conditions["metric"] == "error_rate"
