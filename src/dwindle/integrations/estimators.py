"""Find the best penalty of a scikit-learn estimator: folds are its seeds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Unpack

from dwindle.decay.knobs import KNOBS
from dwindle.decay.python_inputs import knob_name, run_of
from dwindle.errors import (
    MissingLibraryError,
    RangeError,
    UnknownNameError,
    UsageError,
)
from dwindle.finding.face import find
from dwindle.finding.found import Found
from dwindle.finding.function import InlineRecipe
from dwindle.integrations.find_with import Options

try:
    import joblib
    import numpy as np
    from sklearn import metrics
    from sklearn.base import clone, is_classifier
    from sklearn.model_selection import (
        GroupKFold,
        KFold,
        StratifiedGroupKFold,
        StratifiedKFold,
    )
    from sklearn.utils import _safe_indexing
except ImportError as error:
    raise MissingLibraryError(
        "scikit-learn", "find_for_estimator", "sklearn"
    ) from error

# Any: estimators and their data are of many classes, and scikit-learn has no types.

# The option by whose value the records of one class differ.
_VARIANTS = {
    "LogisticRegression": ("solver", ("liblinear",)),
    "MLPClassifier": ("solver", ("sgd", "adam", "lbfgs")),
    "MLPRegressor": ("solver", ("sgd", "adam", "lbfgs")),
    "SGDClassifier": ("learning_rate", ("constant", "optimal")),
    "SGDRegressor": ("learning_rate", ("constant",)),
}


def find_for_estimator(  # noqa: PLR0913, each is a separate decision
    estimator: Any,
    parameter: str,
    X: Any,  # noqa: N803, as scikit-learn calls it
    y: Any,
    *,
    low: float,
    high: float,
    knob: object = None,
    folds: int = 5,
    groups: Any = None,
    scoring: Any = None,
    **options: Unpack[Options],
) -> Found:
    """Find the best value of an estimator's parameter, and how sure it is.

    Each seed is one fold that is held out, and every value of the parameter is trained
    on the same rest: that is what makes the differences visible. After ``folds`` of
    them the data is shuffled anew. The interval answers for other splits of this data;
    folds share examples, so that it is somewhat too narrow for other data. Rows that
    follow each other in time are no case for shuffled folds: write a function for
    :func:`dwindle.find` there.

    Args:
        estimator: What has ``fit``; it is cloned, and never fitted itself. A pipeline's
            parameter is called as ``set_params`` calls it, ``clf__C``.
        parameter: The parameter, whose values are above 0.
        X: The examples, (examples, features).
        y: Their targets.
        low: Least value of the range.
        high: Greatest one.
        knob: Where the value is typed; known by the estimator's class where that has a
            record among ``dwindle knobs``, else a number without meaning elsewhere.
        folds: Into how many parts the data is cut.
        groups: Labels of examples that must stay together.
        scoring: Instead of the loss, as ``cross_val_score`` takes it. A loss is the log
            loss, of classifiers without probabilities the hinge loss or the error rate;
            the mean squared error for regression.
        **options: As :func:`dwindle.find` has them: ``trainings``, ``store``, ...
            ``zero`` is left out where the estimator has no value for "no penalty".

    Returns:
        The value to type, with its interval. Its first note names the loss.

    Raises:
        UnknownNameError: If the estimator has no such parameter.
        UsageError: If it is a class.
        RangeError: If there are not two folds or more, or a number is impossible.
        DwindleError: As :func:`dwindle.find` has it.

    Example:
        >>> from sklearn.linear_model import Ridge
        >>> X = np.random.default_rng(0).normal(size=(60, 20))
        >>> y = X[:, 0] + np.random.default_rng(1).normal(size=60)
        >>> found = find_for_estimator(
        ...     Ridge(), "alpha", X, y, low=0.1, high=1e3, trainings=8
        ... )
        >>> found.knob, found.trainings
        ('sklearn.linear_model.Ridge', 8)

    """
    if isinstance(estimator, type):
        name = estimator.__name__
        must = "An estimator must be an object, which has parameters."
        raise UsageError(must, f"the class {name}", f"Write {name}().")
    names = estimator.get_params()
    if parameter not in names:
        raise UnknownNameError.among("parameter", parameter, tuple(names))
    least, most = 2, len(y)
    if not least <= folds <= most:
        raise RangeError("folds", folds, f"from {least} to the {most} examples")
    part, name = _part(estimator, parameter)
    known = _knob_of(part, name) if knob is None else knob_name(knob)
    fold = _Folds(estimator, parameter, X, y, folds, groups, scoring)
    notes = [fold.note]
    # A C = inf is refused by liblinear, and never ends in libsvm.
    is_logistic = type(part).__name__ == "LogisticRegression"
    has_infinity = name != "C" or (is_logistic and part.solver != "liblinear")
    if "zero" not in options and not has_infinity:
        options["zero"] = False
        notes.append(
            f"{type(part).__name__} was not trained without its penalty, for {name} = "
            "inf is refused by it or may never end."
        )
    size = len(y) - len(y) // folds
    run = run_of(options.get("run"))
    if not run.is_given("dataset_size"):
        options["run"] = replace(run, dataset_size=size)
    options.setdefault("maximize", scoring is not None and fold.sign > 0)
    recipe = InlineRecipe(
        function=fold.train, name=type(part).__name__, hashes=fold.hashes()
    )
    found = find(recipe, knob=known, low=low, high=high, metric=fold.loss, **options)
    return replace(found, notes=(*notes, *found.notes))


@dataclass(frozen=True)
class _Folds:
    """Trains on all but one fold of a shuffled cut, by the number of the fold."""

    estimator: Any
    parameter: str
    X: Any
    y: Any
    folds: int
    groups: Any
    scoring: Any

    def train(self, weight_decay: float, seed: int) -> float:
        """Return the loss on a fold; all values of a seed have the same one."""
        cut, number = divmod(seed, self.folds)
        by_class = is_classifier(self.estimator)
        if self.groups is not None:
            kind = StratifiedGroupKFold if by_class else GroupKFold
        else:
            kind = StratifiedKFold if by_class else KFold
        splitter = kind(self.folds, shuffle=True, random_state=cut)
        splits = splitter.split(self.X, self.y, self.groups)
        rest, held_out = next(islice(splits, number, None))
        model = clone(self.estimator)
        # What is random in it is the same for all values of the parameter, too.
        free = {
            name: seed
            for name, value in model.get_params().items()
            if name.rpartition("__")[2] == "random_state" and value is None
        }
        model.set_params(**{**free, self.parameter: weight_decay})
        model.fit(_safe_indexing(self.X, rest), _safe_indexing(self.y, rest))
        examples = _safe_indexing(self.X, held_out)
        return self._loss(model, examples, _safe_indexing(self.y, held_out))

    @property
    def loss(self) -> str:
        """The name of the loss or score."""
        if self.scoring is not None:
            given = self.scoring
            own = getattr(given, "__name__", type(given).__name__)
            return str(given if isinstance(given, str) else own)
        if not is_classifier(self.estimator):
            return "mean_squared_error"
        if hasattr(self.estimator, "predict_proba"):
            return "log_loss"
        has_margin = hasattr(self.estimator, "decision_function")
        return "hinge_loss" if has_margin else "error_rate"

    @property
    def note(self) -> str:
        """What was measured, in one line."""
        kind = "folds of whole groups" if self.groups is not None else "folds"
        return (
            f"The {'score' if self.scoring is not None else 'loss'} is {self.loss} on "
            f"each of {self.folds} {kind} of {len(self.y)} examples, shuffled anew "
            f"after {self.folds} seeds."
        )

    @property
    def sign(self) -> int:
        """Whether larger is better (1), as every score has it, or a loss (-1)."""
        is_loss = isinstance(self.scoring, str) and self.scoring.startswith("neg_")
        return -1 if is_loss or self.scoring is None else 1

    def hashes(self) -> Mapping[str, str]:
        """Return what identifies the training: estimator, data and folds."""
        own = clone(self.estimator).set_params(**{self.parameter: None})
        what = {
            "the estimator": (type(own).__qualname__, repr(own.get_params())),
            "the data": (self.X, self.y, self.groups),
            "the folds": (self.parameter, self.folds),
        }
        return {name: joblib.hash(each) for name, each in what.items()}

    def _loss(self, model: Any, examples: Any, wanted: Any) -> float:
        if self.scoring is not None:
            score = metrics.check_scoring(model, self.scoring)(model, examples, wanted)
            return self.sign * float(score)
        if self.loss == "mean_squared_error":
            return float(metrics.mean_squared_error(wanted, model.predict(examples)))
        # A fold may lack a class that the rest has.
        labels = model.classes_
        if self.loss == "log_loss":
            shares = model.predict_proba(examples)
            return float(metrics.log_loss(wanted, shares, labels=labels))
        if self.loss == "hinge_loss":
            margins = model.decision_function(examples)
            return float(metrics.hinge_loss(wanted, margins, labels=labels))
        return float(np.mean(model.predict(examples) != np.asarray(wanted)))


def _part(estimator: Any, parameter: str) -> tuple[Any, str]:
    """Return the estimator that a parameter belongs to, and its name there."""
    path, _, name = parameter.rpartition("__")
    return (estimator.get_params()[path] if path else estimator), name


def _knob_of(part: Any, name: str) -> str:
    """Return the record of a parameter, or what a number without record is called."""
    kind, options = type(part), part.get_params(deep=False)
    home = ".".join(kind.__module__.split(".")[:2])
    option, variants = _VARIANTS.get(kind.__name__, ("", ()))
    variant = options.get(option)
    names = [f"{home}.{kind.__name__}:{variant}"] if variant in variants else []
    # Other learning rates that fall have no record, nor have penalties other than L2.
    if names or option != "learning_rate":
        plain = f"{home}.{kind.__name__}"
        names += [f"{plain}:{name}", plain]
    is_l2 = options.get("penalty", "l2") in ("l2", "deprecated") and not (
        kind.__name__ == "LogisticRegression" and options.get("l1_ratio")
    )
    for each in names:
        if is_l2 and each in KNOBS and KNOBS[each].symbol == name:
            return each
    inverse = ":inverse" if name == "C" else ""
    return f"own:{kind.__name__}.{name}{inverse}"
