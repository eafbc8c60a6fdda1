"""Hold a half-life in ``model.fit`` of Keras: one callback, on JAX and on torch."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from logging import getLogger
from typing import Any, Unpack

from dwindle.decay.decay_rate import POWERS, DecayRate, missing_facts_of, read_half_life
from dwindle.decay.half_life import HalfLife
from dwindle.decay.number_formats import rounding_remark
from dwindle.decay.run import Run, RunFacts, run_with
from dwindle.errors import (
    DoubleDecayWarning,
    MissingFactError,
    MissingLibraryError,
    RangeError,
    RefusedError,
    UnknownNameError,
)

try:
    import keras
    from keras import ops
    from keras.callbacks import Callback
except ImportError as error:
    raise MissingLibraryError("keras", "DecayCallback of Keras", "keras") from error

from dwindle.integrations.keras_layers import Variable, decayed_variables
from dwindle.integrations.keras_run import FitFacts, as_number, current_lr, lr_range
from dwindle.wording import counted

_LOG = getLogger("dwindle")
_SET_ASIDE = "%s.weight_decay, %g, is set to 0: DecayCallback decays instead."
# Of a weight of 1, two steps that each take a quarter leave so much.
_REHEARSED = DecayRate(shrink_at_peak=0.25, schedule="constant")
_REHEARSED_LEFT, _ROUNDING = 0.5625, 1e-6  # of float32, with a digit to spare
_MOVES = (
    "Of a weight of 1 without gradient, two steps that take a quarter each should "
    "leave 0.5625. Got {:.4g}: the optimizer moves it by itself, or decays elsewhere."
)
_TAKE = (
    "Take one that leaves such weights alone (SGD, Adam, AdamW, Lion, Muon …), and "
    "none that overwrites them with an average (ema_overwrite_frequency)."
)
# A step is computed in these as it is; in 16 bits its product would lose digits.
_WIDE = ("float32", "float64")
_SEVERAL = "MultiOptimizer has several optimizers, each with its own lr."
_ONE_OPTIMIZER = "Compile the model with one; variables=[...] chooses what decays."
_ONE_STEP = "The optimizer has one decay step, and another callback has taken it."
_ONE_CALLBACK = "Give fit one DecayCallback; variables=... chooses what decays."
_IDLE = (
    "{}, which the model was compiled with, made no step in a whole epoch: train_step "
    "uses other optimizers ({}), and those are not held."
)
_HOLD_THEM = (
    "Hold each before fit, without the callback: DecayCallback(half_life, lr_peak=LR, "
    "variables=[...]).hold(model, optimizer=model.d_optimizer)."
)
_NONE_DECAYS = "No trainable variable is a kernel that the optimizer may decay: {}."
_GIVE_VARIABLES = "Give variables=[...], or check exclude_from_weight_decay()."


@dataclass(frozen=True, kw_only=True, eq=False)
class _DecayStep:
    """The optimizer's decay step, in the graph of its training step."""

    optimizer: Any
    rate: DecayRate
    keys: frozenset[Any]
    fit: Mapping[str, Any] | None = None  # what all callbacks of one fit share
    set_aside: float | None = None  # weight_decay of the optimizer

    def __call__(self, variables: Sequence[Variable]) -> None:
        shrink = self.rate.shrink_of(self.optimizer.learning_rate)
        for variable in variables:
            if _key(self.optimizer, variable) in self.keys:
                # In 16 bits the product would lose digits: 32 until the end.
                dtype = str(variable.dtype)
                wide = dtype if dtype in _WIDE else "float32"
                weight = ops.cast(variable, wide)
                left = weight - ops.cast(shrink, wide) * weight
                variable.assign(ops.cast(left, dtype))

    def does_as(self, other: "_DecayStep") -> bool:
        """Return whether a step compiled with one may be used for the other."""
        same = self.rate == other.rate and self.keys == other.keys
        return same and self.optimizer is other.optimizer


class DecayCallback(Callback):  # type: ignore[misc]  # without Keras it is Any to mypy
    """Holds a half-life of the kernels through a run of ``model.fit``.

    ``model.fit(..., callbacks=[DecayCallback(half_life="3 epochs")])`` and nothing else
    changes: the batches of an epoch and the length of the run are read from ``fit``,
    the peak lr from the optimizer. The optimizer's own ``weight_decay`` is set to 0,
    and its decay step becomes ours: part of the compiled training step, at the lr of
    that step, before the update, once per real update (gradient accumulation, loss
    scaling, several steps per execution). It keeps no state: a restored run goes on.

    A variable decays if it is a kernel (:func:`decayed_variables`) and the optimizer's
    ``exclude_from_weight_decay`` does not name it; one without a gradient stays as it
    is (JAX has zeros there, and it decays). With ``use_ema`` the weights decay
    as requested, not the averages that take their place at the end. The decay stays
    with the optimizer for later fits, until :meth:`release`; a saved optimizer knows
    nothing of it: give the callback again.

    For a custom loop, ``DecayCallback(...).hold(model)`` before the first step.

    Args:
        half_life: "3 epochs", "500 steps", "20% of the run", or a HalfLife; at the peak
            lr. Steps are real updates.
        schedule: ``follow-lr`` (as AdamW behaves), ``constant`` or ``lr-squared``.
        lr_peak: Largest lr of the run. Else that of the optimizer's schedule, or the
            number it was made with; give it if a callback goes above, or the optimizer
            has already made steps.
        variables: Which variables decay; default :func:`decayed_variables`.
        run: The facts of the run as one record; its ``lr`` is the peak.
        **facts: Those facts one by one, where ``fit`` does not know them:
            ``batch_size`` as ``fit`` has it (for half-lives in examples or tokens),
            ``dataset_size`` (examples of an epoch), ``epochs`` or ``steps`` (length of
            the run, in real updates), ``tokens_per_example`` (for half-lives in
            tokens).

    Raises:
        RangeError: If a number is out of its range.
        UnknownNameError: If the schedule is none of the three.
        MissingFactError: At the start of training, if a fact is known to nobody.
        RefusedError: At the start of training, if the optimizer moves weights that have
            no gradient by itself, nothing would decay, two callbacks are at work, or
            the number format of the weights rounds the decay away.

    """

    def __init__(
        self,
        half_life: str | HalfLife,
        *,
        schedule: str = "follow-lr",
        lr_peak: float | None = None,
        variables: Sequence[Variable] | None = None,
        run: Run | None = None,
        **facts: Unpack[RunFacts],
    ) -> None:
        super().__init__()
        if schedule not in POWERS:
            raise UnknownNameError.among("schedule", schedule, tuple(POWERS))
        self.half_life = read_half_life(half_life)
        self.schedule = schedule
        self.run = run_with(run, **facts)
        self.lr_peak = self.run.lr if lr_peak is None else lr_peak
        self.variables = variables
        self.decayed: tuple[str, ...] = ()
        self._step: _DecayStep | None = None
        self._has_warned = False
        self._steps_before = 0.0

    def __repr__(self) -> str:
        name = f"DecayCallback of Keras: a half-life of {self.half_life}"
        if self._step is None:
            peak = "" if self.lr_peak is None else f", lr_peak {self.lr_peak:g}"
            return f"{name}, {self.schedule}{peak}; training has not begun"
        rate = self._step.rate
        peak = "" if rate.lr_peak is None else f", lr_peak {rate.lr_peak:g}"
        steps, decaying = (
            f"{rate.half_life_steps:g} steps",
            counted(len(self.decayed), "variable"),
        )
        return f"{name} ({steps}), {self.schedule}{peak}; decay of {decaying}"

    @property
    def half_life_steps(self) -> float | None:
        """Half-life in real updates at the peak lr; None before the training."""
        return None if self._step is None else self._step.rate.half_life_steps

    def on_train_begin(self, logs: Any = None) -> None:
        """Take the decay over; called by ``fit``."""
        del logs
        self.hold(self.model)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Warn once if another callback has raised the lr above the peak.

        Raises:
            RefusedError: If the optimizer that is held has made no step: the model
                trains with other optimizers, as a GAN does.

        """
        del epoch, logs
        if self._step is None:
            return
        optimizer = self._step.optimizer
        if as_number(optimizer.iterations) == self._steps_before:
            kind = keras.optimizers.Optimizer
            own = [
                name for name, at in vars(self.model).items() if isinstance(at, kind)
            ]
            others = ", ".join(name for name in own if name != "optimizer")
            why = _IDLE.format(type(optimizer).__name__, others or "none by name")
            request = "A half-life in this training"
            raise RefusedError(request, why, _HOLD_THEM)
        if self._has_warned:
            return
        now = current_lr(optimizer)
        self._has_warned = _warned(self._step.rate.remark_on_lrs(now, now))

    def hold(self, model: Any, *, optimizer: Any = None) -> None:
        """Make the decay of a model's optimizer ours, from the next step on.

        Args:
            model: A compiled and built ``keras.Model``.
            optimizer: The one to hold where the model has several, as a GAN
                has; the one that it was compiled with if None. ``variables`` are then
                the ones that it trains.

        Raises:
            MissingFactError: If a fact is known neither to the user nor to ``fit``.
            RangeError: If ``variables`` are not the model's.
            RefusedError: If the optimizer cannot be held exactly.

        """
        optimizer = _inner(model.optimizer if optimizer is None else optimizer)
        before = _step_of(optimizer)
        if (
            before is not None
            and before is not self._step
            # In a custom loop there are no params: a later hold is a new request.
            and self.params is not None
            and before.fit is self.params
        ):
            request = "Two half-lives of one optimizer"
            raise RefusedError(request, _ONE_STEP, _ONE_CALLBACK)
        chosen = _chosen(self.variables, model, optimizer)
        with missing_facts_of("DecayCallback"):
            rate = self._rate(optimizer)
        for dtype in sorted({str(each.dtype) for each in chosen}):
            _warned(rounding_remark(rate.shrink_at_peak, dtype=dtype))
        _warn_if_regularized(chosen)
        _rehearse(optimizer)
        keys = frozenset(_key(optimizer, each) for each in chosen)
        step = _DecayStep(
            optimizer=optimizer,
            rate=rate,
            keys=keys,
            fit=self.params,
            set_aside=before.set_aside if before else optimizer.weight_decay,
        )
        if optimizer.weight_decay:
            _LOG.info(_SET_ASIDE, type(optimizer).__name__, optimizer.weight_decay)
            optimizer.weight_decay = 0.0
        optimizer._apply_weight_decay = step  # noqa: SLF001 (rehearsed: no public place)
        if before is None or not before.does_as(step):
            _compile_anew(model)
        self._step, self.decayed = step, tuple(each.path for each in chosen)
        self._steps_before = as_number(optimizer.iterations)

    def release(self, model: Any, *, optimizer: Any = None) -> None:
        """Restore the weight_decay that the optimizer had.

        Args:
            model: The model that is held.
            optimizer: As :meth:`hold` had it.

        """
        optimizer = _inner(model.optimizer if optimizer is None else optimizer)
        before = _step_of(optimizer)
        if before is not None:
            del optimizer._apply_weight_decay  # noqa: SLF001 (where ``hold`` put it)
            optimizer.weight_decay = before.set_aside
            self._step = None
            _compile_anew(model)

    def _rate(self, optimizer: Any) -> DecayRate:
        known = self.params or {}  # None in a custom loop
        facts = FitFacts(
            run=self.run,
            batches=known.get("steps"),
            epochs=known.get("epochs"),
            gathered=optimizer.gradient_accumulation_steps or 1,
        )
        steps = HalfLife(facts.half_life_steps(self.half_life), "steps")
        peak, lrs = self.lr_peak, None
        if POWERS[self.schedule]:
            lrs = self._lrs(optimizer, facts)
            peak = lrs[1] if peak is None else peak
        rate = DecayRate.of(steps, run=Run(), schedule=self.schedule, lr_peak=peak)
        if lrs is not None:
            _warned(rate.remark_on_lrs(*lrs))
        return rate

    def _lrs(self, optimizer: Any, facts: FitFacts) -> tuple[float, float]:
        """Return the least and the largest lr, as far as they are known."""
        before = _step_of(optimizer)
        if self.lr_peak is None and before is not None and before.rate.lr_peak:
            return (before.rate.lr_peak,) * 2  # the lr may have fallen since
        peak = self.lr_peak
        lrs = lr_range(
            optimizer,
            batches=facts.batches_of_run,
            is_new=as_number(optimizer.iterations) == 0,
            peak_is_given=peak is not None,
        )
        if lrs is not None:
            return lrs
        if peak is None:
            need = "An optimizer whose lr is a function, or that has made steps before,"
            raise MissingFactError("lr_peak", need, "--lr-peak")
        return peak, peak


_SHOWN = 3  # paths of variables: a warning in the log is one line


def _warn_if_regularized(chosen: Sequence[Variable]) -> None:
    """Warn where layers add an L2 term to the loss: both would decay them."""
    twice = [each.path for each in chosen if getattr(each, "regularizer", None)]
    if not twice:
        return
    shown = ", ".join(twice[:_SHOWN]) + (" …" if len(twice) > _SHOWN else "")
    message = (
        f"Each weight must decay by one way. Got {len(twice)} that a DecayCallback "
        f"decays and a regularizer of its layer penalizes as well: {shown}. Build the "
        "layers without kernel_regularizer, or leave the callback out."
    )
    warnings.warn(message, DoubleDecayWarning, stacklevel=4)


def _warned(remark: str) -> bool:
    if remark:
        _LOG.warning(remark)
    return bool(remark)


def _inner(optimizer: Any) -> Any:
    """Return what LossScaleOptimizer wraps, or the optimizer itself."""
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    if type(optimizer).__name__ == "MultiOptimizer":  # old versions have no such class
        request = "One half-life under several optimizers"
        raise RefusedError(request, _SEVERAL, _ONE_OPTIMIZER)
    return optimizer


def _key(optimizer: Any, variable: Variable) -> Any:
    return optimizer._var_key(variable)  # noqa: SLF001 (TensorFlow has its own)


def _step_of(optimizer: Any) -> _DecayStep | None:
    found = vars(optimizer).get("_apply_weight_decay")
    return found if isinstance(found, _DecayStep) else None


def _compile_anew(model: Any) -> None:
    """Drop a training step that was traced with the former decay."""
    if getattr(model, "train_function", None) is None:
        return
    if keras.backend.backend() == "jax":
        import jax

        # JAX knows a function again, whoever jits it: its trace has to be forgotten.
        jax.jit(model.train_step).clear_cache()
    model.make_train_function(force=True)


def _chosen(
    variables: Sequence[Variable] | None, model: Any, optimizer: Any
) -> list[Variable]:
    wanted = decayed_variables(model) if variables is None else list(variables)
    own = {id(each) for each in model.trainable_variables}
    foreign = [each.path for each in wanted if id(each) not in own]
    if foreign:
        raise RangeError("variables", foreign, "trainable variables of the model")
    may_decay = optimizer._use_weight_decay  # noqa: SLF001 (what the user excluded)
    chosen = [each for each in wanted if may_decay(each)]
    if not chosen:
        request = f"A decay of {model.name}"
        paths = ", ".join(each.path for each in model.trainable_variables) or "none"
        raise RefusedError(request, _NONE_DECAYS.format(paths), _GIVE_VARIABLES)
    return chosen


def _rehearse(optimizer: Any) -> None:
    """Try the decay step on a copy: nothing else may move a weight without gradient."""
    config = dict(optimizer.get_config())
    config |= {"learning_rate": 0.01, "gradient_accumulation_steps": None}
    if config.get("ema_overwrite_frequency"):
        config["ema_overwrite_frequency"] = 1  # else it shows after two steps
    copy = type(optimizer).from_config(config)
    # Some optimizers skip a step whose gradients are all zero: one weight has some.
    weight, beside = (
        keras.Variable(ops.ones((2, 2)), dtype="float32", name=name)
        for name in ("kernel", "beside")
    )
    copy.build([weight, beside])
    keys = frozenset([_key(copy, weight)])
    copy._apply_weight_decay = _DecayStep(optimizer=copy, rate=_REHEARSED, keys=keys)  # noqa: SLF001
    for _ in range(2):
        copy.apply([ops.zeros((2, 2)), ops.ones((2, 2))], [weight, beside])
    left = as_number(ops.mean(weight))
    if not abs(left - _REHEARSED_LEFT) < _ROUNDING:
        request = f"A half-life under keras.optimizers.{type(optimizer).__name__}"
        raise RefusedError(request, _MOVES.format(left), _TAKE)
