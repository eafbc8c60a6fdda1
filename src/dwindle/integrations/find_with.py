"""Find the best weight decay of a training in transformers, Lightning or Keras.

Each takes a function that makes what is trained anew, so that no object of the caller's
is changed, and trains in this process, one training after the other: a data set stays
loaded, and Ctrl-C reaches it. What needs to survive a crash of a library is a script of
its own for ``dwindle find``.
"""

import math
import weakref
from collections.abc import Callable, Mapping
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, Unpack

from dwindle.decay.python_inputs import RunLike
from dwindle.errors import MissingLibraryError, UsageError
from dwindle.finding.call import signature_of
from dwindle.finding.face import find
from dwindle.finding.found import Found
from dwindle.finding.function import InlineRecipe
from dwindle.finding.metric import Take
from dwindle.finding.training import Request
from dwindle.wording import listed

# Any: the objects of libraries that are not in every environment.
Make = Callable[..., Any]


class Options(TypedDict, total=False):
    """What ``dwindle.find`` takes beside a training, its knob and its range."""

    typed: object
    run: RunLike | None
    take: Take
    maximize: bool | None
    trainings: int
    within: float
    guess: float | None
    zero: bool
    seconds: float | None
    store: str | Path | None
    accept_change: bool


_WRITE_IT = "Write TrainingArguments(..., weight_decay=weight_decay, seed=seed)."


class Range(Options):
    """Where the decay is typed and its range, which no search goes without."""

    knob: object
    low: float
    high: float


def _find(  # noqa: PLR0913, one for each thing that libraries do differently
    make: Make,
    called: str,
    *,
    set_seed: Callable[[int], object],
    model_of: Callable[[Any], object],
    results_of: Callable[[Any, Request], Mapping[str, object]],
    metric: str,
    options: Any,  # Range, which mypy does not unpack into find
) -> Found:
    """Find over trainings of what a user's factory makes, each time anew.

    It is seeded before something is made, and again before ``results_of`` trains it.

    Raises:
        UsageError: If it makes the model of the training before, or there is no such
            metric.

    """
    signature, last = signature_of(make), list[Callable[[], object]]()

    def train(weight_decay: float, seed: int) -> object:
        request = Request(weight_decay=weight_decay, seed=seed)
        set_seed(seed)
        made = make(**signature.arguments(request))
        model = model_of(made)
        if model is not None and last and model is last.pop()():
            must = f"{called} must make a new model each time."
            remedy = f"Make it inside of {called}; the seed is set before the call."
            raise UsageError(must, "the model of the training before", remedy)
        last[:] = [weakref.ref(model)]
        set_seed(seed)
        results = results_of(made, request)
        if metric in results:
            return results[metric]
        must = "metric must name a number that the validation gives."
        remedy = f"It gives: {listed(list(results))}." if results else "It gives none."
        raise UsageError(must, repr(metric), remedy)

    recipe = InlineRecipe(function=train, source=make)
    return find(recipe, metric=metric, **options)


def find_with_trainer(
    make_trainer: Make,
    *,
    metric: str = "eval_loss",
    **options: Unpack[Range],
) -> Found:
    """Find the best weight decay of a ``Trainer`` of transformers.

    The loss is that of ``evaluate()`` after ``train()``. Python, NumPy and torch are
    seeded before the trainer is made and again before it trains, and its
    ``args.seed`` is set, so that all trainings of a seed share initialization and order
    of the data.

    Args:
        make_trainer: A function of ``weight_decay``, and ``seed`` if it likes, that
            makes a new model and returns its Trainer.
        metric: The loss in what ``evaluate()`` returns.
        **options: ``knob``, ``low``, ``high``, and all else as :func:`dwindle.find` has
            them: ``trainings``, ``store``, ...

    Raises:
        MissingLibraryError: If transformers is not installed.
        UsageError: If the weight decay does not reach the trainer's arguments, the
            model is not a new one, or there is no such metric.
        DwindleError: As :func:`dwindle.find` has it.

    ::

        def make_trainer(weight_decay, seed):
            args = TrainingArguments("out", weight_decay=weight_decay, seed=seed)
            model = GPT2LMHeadModel(config)
            return Trainer(model, args, train_dataset=train, eval_dataset=held_out)


        find_with_trainer(make_trainer, knob="torch.optim.AdamW", low=1e-3, high=1)

    """
    try:
        from transformers import Trainer, set_seed
    except ImportError as error:
        needed_for = "find_with_trainer"
        raise MissingLibraryError("transformers", needed_for, "transformers") from error

    def results_of(trainer: Any, request: Request) -> Mapping[str, object]:
        makes_its_own = type(trainer).create_optimizer is not Trainer.create_optimizer
        there, wanted = trainer.args.weight_decay, request.weight_decay
        is_read = trainer.optimizer is None and not makes_its_own
        if is_read and not math.isclose(there, wanted, rel_tol=1e-9):
            must = "The weight decay must reach the arguments of the Trainer."
            got = f"args.weight_decay = {there:g} where {wanted:g} was to be trained"
            raise UsageError(must, got, _WRITE_IT)
        # On a copy: several trainers may have been given one record of arguments.
        trainer.args = copy(trainer.args)
        trainer.args.seed = request.seed  # which a Trainer sets itself where it is made
        trainer.train()
        found: Mapping[str, object] = trainer.evaluate()
        return found

    return _find(
        make_trainer,
        "make_trainer",
        set_seed=set_seed,
        model_of=lambda trainer: trainer.model,
        results_of=results_of,
        metric=metric,
        options=options,
    )


def find_with_lightning(  # noqa: PLR0913, as Trainer.fit has them
    make_module: Make,
    make_trainer: Callable[[], Any],
    *,
    metric: str = "val_loss",
    train_dataloaders: object = None,
    val_dataloaders: object = None,
    datamodule: object = None,
    **options: Unpack[Range],
) -> Found:
    """Find the best weight decay of a ``LightningModule``.

    The loss is what ``Trainer.validate`` logs after ``Trainer.fit``. Python, NumPy and
    torch are seeded before the module is made and again before it is trained; a loader
    that shuffles by a generator of its own has to be made in the module's hooks.

    Args:
        make_module: A function of ``weight_decay``, and ``seed`` if it likes, that
            returns a new module.
        make_trainer: A function without arguments that returns a new ``Trainer``.
        metric: The loss, by the name that the module logs it under in validation.
        train_dataloaders: As ``Trainer.fit`` takes them; None if the module has them.
        val_dataloaders: Those of the validation.
        datamodule: Instead of both.
        **options: ``knob``, ``low``, ``high``, and all else as :func:`dwindle.find` has
            them: ``trainings``, ``store``, ...

    Raises:
        MissingLibraryError: If Lightning is not installed.
        UsageError: If the module is not a new one, or logs no such metric.
        DwindleError: As :func:`dwindle.find` has it.

    """
    from dwindle.integrations.torch_loops import part_of_lightning

    seed_everything = part_of_lightning("seed_everything", "find_with_lightning")

    def results_of(module: Any, _: Request) -> Mapping[str, object]:
        trainer = make_trainer()
        try:
            trainer.fit(module, train_dataloaders, val_dataloaders, datamodule)
        except SystemExit:
            # What Lightning makes of Ctrl-C; to the search it must stay one.
            if trainer.interrupted:
                raise KeyboardInterrupt from None
            raise
        results = trainer.validate(
            module, val_dataloaders, datamodule=datamodule, verbose=False
        )
        return {name: loss for each in results for name, loss in each.items()}

    return _find(
        make_module,
        "make_module",
        set_seed=partial(seed_everything, workers=True, verbose=False),
        model_of=lambda module: module,
        results_of=results_of,
        metric=metric,
        options=options,
    )


def find_with_keras(
    make_model: Make,
    *,
    fit: Mapping[str, Any],
    validation_data: Any,
    metric: str = "loss",
    **options: Unpack[Range],
) -> Found:
    """Find the best weight decay of a Keras model.

    The loss is that of ``evaluate`` on the validation data after ``fit``, without what
    regularizers add to it: their penalty would grow with the decay itself. Python,
    NumPy and the backend are seeded before the model is made, and before it trains.

    Args:
        make_model: A function of ``weight_decay``, and ``seed`` if it likes, that
            returns a new, compiled model.
        fit: The arguments of ``fit``: ``{"x": x, "y": y, "epochs": 5}``.
        validation_data: ``(x, y)`` or a data set, as ``fit`` takes it.
        metric: The loss in what ``evaluate`` returns.
        **options: ``knob``, ``low``, ``high``, and all else as :func:`dwindle.find` has
            them: ``trainings``, ``store``, ...

    Raises:
        MissingLibraryError: If Keras is not installed.
        UsageError: If the model is not a new one, or has no such metric.
        DwindleError: As :func:`dwindle.find` has it.

    """
    try:
        import keras
    except ImportError as error:
        raise MissingLibraryError("keras", "find_with_keras", "keras") from error
    held_out = (
        validation_data if isinstance(validation_data, tuple) else (validation_data,)
    )

    def results_of(model: Any, _: Request) -> Mapping[str, object]:
        model.fit(**{"verbose": 0, **fit})
        results = dict(model.evaluate(*held_out, verbose=0, return_dict=True))
        if "loss" in results:
            for each in model.trainable_variables:
                penalty = getattr(each, "regularizer", None)
                results["loss"] -= float(penalty(each)) if penalty else 0.0
        return results

    return _find(
        make_model,
        "make_model",
        set_seed=keras.utils.set_random_seed,
        model_of=lambda model: model,
        results_of=results_of,
        metric=metric,
        options=options,
    )
