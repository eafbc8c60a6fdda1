"""Hold a half-life in an optax chain: one link, the last one, jitted with the rest."""

from collections.abc import Callable, Mapping
from logging import getLogger
from types import MappingProxyType
from typing import Any, NamedTuple, Unpack

from dwindle.decay.decay_rate import POWERS, DecayRate, missing_facts_of
from dwindle.decay.half_life import HalfLife
from dwindle.decay.number_formats import rounding_remark
from dwindle.decay.read_numbers import number_of
from dwindle.decay.roles import decaying_roles, wide
from dwindle.decay.run import Run, RunFacts, run_with
from dwindle.errors import (
    MissingFactError,
    MissingLibraryError,
    RangeError,
    RefusedError,
)

try:
    import jax
    import jax.numpy as jnp
    import optax
except ImportError as error:
    raise MissingLibraryError("optax", "decay, a link of a chain,", "optax") from error

_LOG = getLogger("dwindle")

# What layers of Flax and Haiku call their arrays: whole names, not parts of them.
_ROLES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("kernel", "w"), "weight"),
        **dict.fromkeys(("bias", "b"), "bias"),
        **dict.fromkeys(("scale", "offset", "gamma", "beta"), "norm"),
        **dict.fromkeys(("embedding", "embeddings"), "embedding"),
    }
)
# Names of a leaf that only wraps a weight: Flax NNX has them.
_INSIDE = ("value", "raw_value")
_FOLLOWS = "A half-life that follows the lr"
_INJECTED = (
    "With optax.inject_hyperparams, name it in static_args: only learning_rate may "
    "be injected."
)
_NONE_DECAYS = "The mask lets no leaf decay; their shapes are {}."
_GIVE_A_MASK = "Give mask=..., a tree of booleans or a function that makes one."
_UPDATE = "Call optimizer.update(gradients, state, params)."

# A tree, array or function of jax and optax: without them here, Any to mypy.
Tree = Any


class DecayState(NamedTuple):
    """State of the link: the steps that were really made, an int32 array."""

    count: Any  # a jax.Array


def decayed_leaves(params: Tree, *, embeddings: bool = False) -> Tree:
    """Return which leaves decay where no mask is given: kernels, and nothing else.

    A leaf that a layer of Flax or Haiku calls ``kernel`` or ``w`` is a weight; one
    called ``bias``, ``b``, ``scale``, ``offset`` or ``embedding`` is not. Any other
    leaf decays if more than one of its dimensions is longer than 1. Biases without such
    a name that are stacked (a row per layer, or per model under ``vmap``) pass
    for a matrix, and so does the ``weight`` of an Equinox embedding: they need a mask.

    Args:
        params: A tree of arrays.
        embeddings: Whether leaves called ``embedding`` or ``embeddings`` decay.

    Returns:
        The same tree with booleans.

    """
    decaying = decaying_roles(embeddings=embeddings)
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: _role(path, leaf) in decaying, params
    )


def decay(  # noqa: PLR0913 (what is held, each by its name)
    half_life: str | HalfLife,
    *,
    learning_rate: Any = None,  # Any: a number, an optax.Schedule, an injected array
    schedule: str = "follow-lr",
    lr_peak: float | None = None,
    mask: Tree | Callable[[Tree], Tree] | None = decayed_leaves,
    run: Run | None = None,
    **facts: Unpack[RunFacts],
) -> Any:  # an optax.GradientTransformation
    """Make the link that holds a half-life; it belongs at the end of a chain.

    Step ``t`` adds ``-s_t * w`` to the updates of each decayed weight ``w``, regardless
    of what the links before made of its gradient: a weight with zero gradient decays
    exactly as requested. ``s_t`` is that of
    :class:`dwindle.decay.decay_rate.DecayRate`; a schedule is evaluated at the link's
    step count, as optax does for the lr::

        lr = optax.warmup_cosine_decay_schedule(0.0, 3e-4, 500, 10_000)
        facts = {"batch_size": 256, "dataset_size": 50_000, "steps": 10_000}
        held = decay(half_life="3 epochs", learning_rate=lr, **facts)
        optimizer = optax.chain(optax.adam(lr), held)

    It cannot see the rest of the chain. Turn off any other decay there (``adamw``,
    ``lion`` and ``adamaxw`` have one that is on by default). Put the link after
    everything that scales the updates, and inside of what skips or gathers steps
    (``MultiSteps``, ``apply_if_finite``), so that only real updates decay and count.
    :func:`measured_shrink` shows what the whole chain does.

    With ``optax.inject_hyperparams`` build the chain in a function of the lr alone, and
    give its peak::

        @optax.inject_hyperparams
        def build(learning_rate):
            held = decay(
                half_life="500 steps", learning_rate=learning_rate, lr_peak=3e-4
            )
            return optax.chain(optax.adam(learning_rate), held)

    Args:
        half_life: "3 epochs", "2e9 tokens", "20% of the run", or a HalfLife; at the
            peak lr.
        learning_rate: The one of the chain: a number or a schedule of the step;
            ``optax.inject_hyperparams`` may give it. ``constant`` does not need it.
        schedule: ``follow-lr`` (as adamw behaves), ``constant`` or ``lr-squared``.
        lr_peak: Largest lr of the run; else a schedule is evaluated at every step.
        mask: Which leaves decay: a tree of booleans or a function that makes one, as
            ``optax.masked`` has it; None for all of them.
        run: The facts of the run as one record; its ``lr`` is the peak.
        **facts: Those facts one by one: ``batch_size`` (examples of a step, all devices
            and gathered batches together), ``dataset_size`` (of an epoch), ``epochs``
            or ``steps`` (length of the run, in real updates), ``tokens_per_example``.

    Returns:
        An ``optax.GradientTransformation``, whose state counts the steps.

    Raises:
        MissingFactError: If the clock of the half-life, or the peak, needs a fact.
        RangeError: If a number is out of its range, or a fact is an array of jax.
        UnknownNameError: If the schedule is none of the three.
        RefusedError: At ``init``, if no leaf decays, or if the number format of the
            weights would round the decay away.

    """
    for name, value in {**facts, "lr_peak": lr_peak}.items():
        if isinstance(value, jax.Array):
            raise RangeError(name, "an array of jax", "a plain number", _INJECTED)
    with missing_facts_of("decay"):
        run = run_with(run, **facts)
        lr_peak = run.lr if lr_peak is None else lr_peak
        lr = learning_rate if POWERS.get(schedule, 1) else None
        if lr is None and POWERS.get(schedule, 1):
            raise MissingFactError("learning_rate", _FOLLOWS, "--lr")
        # A schedule, or an array that is injected, stays what it is.
        if lr is not None and not (callable(lr) or isinstance(lr, jax.Array)):
            lr = number_of("learning_rate", lr)
        least, most = _range(lr, run, schedule, lr_peak)
        peak = most if lr_peak is None else lr_peak
        rate = DecayRate.of(half_life, run=run, schedule=schedule, lr_peak=peak)
    if least is not None and most is not None:
        _warn(rate.remark_on_lrs(least, most))
    return _chosen(_link(rate, lr), rate, mask)


def measured_shrink(optimizer: Any, params: Tree, *, steps: int = 1) -> Tree:
    """Measure what a whole chain takes off each leaf per step if no gradient pulls.

    So a second decay is found, which no link can see: the result should be what
    ``decay`` was given, and not more. Neither chain nor weights are touched.

    Args:
        optimizer: Any optax transformation, or MultiSteps, with its decay.
        params: A tree of arrays; only shapes, types and names count.
        steps: Calls of ``update`` from the start of the schedule, at least 1.

    Returns:
        The same tree with the shrink per call, a geometric mean; rounding of 32 bits
        leaves an error of some ``1e-7 / steps``.

    Raises:
        RangeError: If ``steps`` is below 1.

    """
    if steps < 1:
        raise RangeError("steps", steps, "at least 1")
    zeros = jax.tree.map(jnp.zeros_like, params)

    def step(held: Tree, _: Any) -> tuple[Tree, None]:
        weights, state = held
        updates, state = optimizer.update(zeros, state, weights)
        return (optax.apply_updates(weights, updates), state), None

    ones = jax.tree.map(jnp.ones_like, params)
    (left, _), _ = jax.lax.scan(step, (ones, optimizer.init(ones)), length=steps)
    return jax.tree.map(lambda each: 1 - float(each.mean()) ** (1 / steps), left)


def _role(path: tuple[Any, ...], leaf: Any) -> str:
    if not jnp.issubdtype(jnp.result_type(leaf), jnp.inexact):
        return "number"
    # Flax NNX splits a model into variables, whose arrays are their attribute value.
    is_wrapped = len(path) > 1 and getattr(path[-1], "name", None) in _INSIDE
    last = path[-2 if is_wrapped else -1] if path else None
    name = getattr(last, "key", getattr(last, "name", None))  # of a dict, of a class
    return _ROLES.get(str(name), "weight" if wide(jnp.shape(leaf)) > 1 else "vector")


def _range(
    lr: Any, run: Run, schedule: str, lr_peak: float | None
) -> tuple[float | None, float | None]:
    """Return the smallest and the largest lr of the run, where they can be known."""
    if isinstance(lr, float):
        return lr, lr
    steps_are_known = "steps" in run.quantities()
    if lr is None or (lr_peak is not None and not steps_are_known):
        return None, None
    if callable(lr):
        if not steps_are_known:
            need = "The peak of a learning_rate schedule, where lr_peak is not given,"
            run.require("steps", need)
        # A chain may be built inside a function that is traced: this is not traced.
        with jax.ensure_compile_time_eval():
            counts = jnp.arange(run.total_steps, dtype=jnp.int32)  # as the link counts
            lrs = jax.vmap(lambda at: jnp.asarray(lr(at)))(counts)
            return float(lrs.min()), float(lrs.max())
    if lr_peak is None:
        need = f'A learning_rate that is injected, with schedule="{schedule}",'
        raise MissingFactError("lr_peak", need, "--lr-peak")
    return None, None


def _link(rate: DecayRate, lr: Any) -> Any:
    def init(_: Tree) -> DecayState:
        return DecayState(jnp.zeros([], jnp.int32))

    def update(
        updates: Tree, state: DecayState, params: Tree = None
    ) -> tuple[Tree, DecayState]:
        if params is None:
            raise RangeError("params", None, "given to update", _UPDATE)
        shrink = rate.shrink_of(lr(state.count) if callable(lr) else lr)

        def decayed(update: Any, weight: Any) -> Any:
            if update is None or weight is None:
                return update
            # In bfloat16 the product would lose digits: 32 bits until the sum.
            broad = jnp.promote_types(jnp.result_type(weight), jnp.float32)
            taken = jnp.asarray(shrink, broad) * jnp.asarray(weight, broad)
            # Wrappers with conditions (apply_if_finite) insist on the type that came.
            return (jnp.asarray(update, broad) - taken).astype(jnp.result_type(update))

        left = jax.tree.map(decayed, updates, params, is_leaf=lambda it: it is None)
        return left, DecayState(optax.safe_increment(state.count))

    return optax.GradientTransformation(init, update)


def _chosen(link: Any, rate: DecayRate, mask: Any) -> Any:
    """Apply the link where the mask is true, and check the weights at ``init``."""
    masked = link if mask is None else optax.masked(link, mask)

    def init(params: Tree) -> Any:
        leaves = jax.tree.leaves(params)
        # optax.tree.map_params passes a placeholder that is no array.
        if leaves and all(hasattr(leaf, "dtype") for leaf in leaves):
            _check_weights(params, rate, mask)
        return masked.init(params)

    update = optax.with_extra_args_support(masked).update
    return optax.GradientTransformationExtraArgs(init, update)


def _check_weights(params: Tree, rate: DecayRate, mask: Any) -> None:
    held = params
    if mask is not None:
        # The distinction of optax: an Equinox module may be a mask, and callable.
        callables = jax.tree.leaves(jax.tree.map(callable, mask))
        keeps = mask(params) if callables and all(callables) else mask
        # None, for every leaf that the mask leaves out, is no leaf.
        held = jax.tree.map(lambda keep, part: part if keep else None, keeps, params)
    chosen = jax.tree.leaves(held)
    if not chosen:
        shapes = sorted({str(leaf.shape) for leaf in jax.tree.leaves(params)})
        why = _NONE_DECAYS.format(", ".join(shapes))
        request = "A decay of these params"
        raise RefusedError(request, why, _GIVE_A_MASK)
    for dtype in sorted({str(leaf.dtype) for leaf in chosen}):
        _warn(rounding_remark(rate.shrink_at_peak, dtype=dtype))


def _warn(remark: str) -> None:
    if remark:
        _LOG.warning(remark)
