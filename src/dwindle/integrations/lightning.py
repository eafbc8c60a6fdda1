"""Hold the decay in a Lightning Trainer: one callback, checkpoints included."""

import math
from collections.abc import Sequence
from dataclasses import replace
from logging import getLogger
from typing import Any, Unpack

from dwindle.decay.half_life import HalfLife
from dwindle.decay.run import Run
from dwindle.errors import MissingLibraryError, RangeError

try:
    from torch.optim import Optimizer
except ImportError as error:
    raise MissingLibraryError("torch", "A trainer of torch", "torch") from error

from dwindle.integrations.torch_loops import (
    MADE_WITHOUT,
    Holding,
    Paced,
    Wish,
    facts_of_loop,
    mark_groups,
    part_of_lightning,
    refuse_deepspeed,
)
from dwindle.pytorch.controller import DecayController

_LOG = getLogger("dwindle")
_NAME = "DecayCallback"
OneOrEach = str | HalfLife | Sequence[str | HalfLife | None] | None


# Any in the methods: trainer, module and batch, whose library has no types here.
class DecayCallback(part_of_lightning("Callback", f"{_NAME} of Lightning")):  # type: ignore[misc]  # which one: seen by running
    """Holds a half-life, or a penalty, through ``Trainer.fit`` of Lightning.

    ``Trainer(callbacks=[DecayCallback(half_life="3 epochs")])``;
    ``configure_optimizers`` stays as it is. The batch of a step (loader, accumulation,
    processes), the length of an epoch and of the run are read from the Trainer, the
    peak lr from optimizer and scheduler. Checkpoints carry the state. Where the
    accumulation changes between epochs, the half-life is computed anew.

    Several optimizers are held alike, or each separately:
    ``DecayCallback(half_life=["3 epochs", None])`` leaves the second one alone. With
    manual optimization an optimizer is taken to step once per batch; give
    ``batch_size`` where it does not.

    Args:
        half_life: "3 epochs", "2e9 tokens", "20% of the run", or a HalfLife, at the
            peak lr; or a sequence with one of these, or None, for each optimizer.
        **holding: ``penalty`` instead of it, ``schedule``, ``lr_peak``, ``run`` and its
            facts one by one, as :class:`~dwindle.integrations.torch_loops.Holding` has
            them: a loader of torch knows ``batch_size``, a stream no ``dataset_size``,
            and the Trainer ``steps`` under automatic optimization only.

    Raises:
        RangeError: If a half-life is no number with a clock; at the start of training,
            if there is not one for each optimizer.
        MissingFactError: At the start of training, if a fact is known to nobody.
        RefusedError: At the start of training, if the decay cannot be held exactly.

    """

    def __init__(
        self,
        half_life: OneOrEach = None,
        **holding: Unpack[Holding],
    ) -> None:
        super().__init__()
        alike: str | HalfLife | None = None
        each: Sequence[str | HalfLife | None] = ()
        if half_life is None or isinstance(half_life, str | HalfLife):
            alike = half_life
        else:
            each = half_life
        self.wish = Wish.of(alike, **holding)
        self._wishes = [
            None if one is None else replace(self.wish, half_life=one) for one in each
        ]
        self.controllers: tuple[DecayController | None, ...] = ()
        """What holds the decay of each optimizer, from the start of training on."""
        self._saved: list[Any] = []
        self._accumulation = 0

    def __repr__(self) -> str:
        if not self.controllers:
            wishes = self._wishes or [self.wish]
            each = "; ".join(
                "left alone" if one is None else str(one) for one in wishes
            )
            return f"{_NAME} of Lightning: {each}; training has not begun"
        held = ("left alone" if one is None else repr(one) for one in self.controllers)
        return "\n".join([f"{_NAME} of Lightning, with", *held])

    def on_train_start(self, trainer: Any, *_: Any) -> None:
        """Take hold of the optimizers; go on from the state of a checkpoint."""
        refuse_deepspeed(type(trainer.strategy).__name__)
        self.release()
        optimizers = trainer.optimizers
        wishes = self._wishes or [self.wish] * len(optimizers)
        if len(wishes) != len(optimizers):
            must = f"one for each of the {len(optimizers)} optimizers, or one for all"
            remedy = "Write None for an optimizer that is left alone."
            raise RangeError("half_life", f"{len(wishes)} of them", must, remedy)
        loop = facts_of_trainer(trainer)
        if not trainer.lightning_module.automatic_optimization:
            # That a step made by hand is one batch is only taken to be so.
            loop = replace(loop, batch_size=None)
        self.wish.warn_of_contradictions(loop, caller=_NAME)
        self.controllers = tuple(
            None if wish is None else _held(trainer, wish, optimizer)
            for wish, optimizer in zip(wishes, optimizers, strict=True)
        )
        self._accumulation = trainer.accumulate_grad_batches
        if trainer.ckpt_path is None:
            return
        if len(self._saved) != len(self.controllers):
            _LOG.warning(MADE_WITHOUT, _NAME)
            return
        for controller, saved in zip(self.controllers, self._saved, strict=True):
            if controller is not None and saved is not None:
                controller.load_state_dict(saved)

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        """Follow an accumulation that another callback changed."""
        if trainer.accumulate_grad_batches == self._accumulation:
            return
        self._accumulation = trainer.accumulate_grad_batches
        batch_size = facts_of_trainer(trainer).batch_size
        if self.wish.run.batch_size is None and batch_size is not None:
            for controller in filter(None, self.controllers):
                controller.batch_size = batch_size

    def on_train_end(self, *_: Any) -> None:
        """Let go of the optimizers; the controllers can still be read."""
        self.release()

    def release(self) -> None:
        """Take the hooks off the optimizers."""
        for controller in filter(None, self.controllers):
            controller.remove()

    def state_dict(self) -> dict[str, Any]:
        """Return what Lightning writes into a checkpoint."""
        held = [None if one is None else one.state_dict() for one in self.controllers]
        return {"controllers": held or self._saved}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep a state until there are optimizers: callbacks are loaded before them."""
        self._saved = list(state_dict["controllers"])


def facts_of_trainer(trainer: Any) -> Run:
    """Read batch, data and length of the run from a Trainer that has begun."""
    sampling = getattr(trainer.strategy, "distributed_sampler_kwargs", {})
    facts = facts_of_loop(
        trainer.train_dataloader,
        batches=trainer.num_training_batches,
        processes=sampling.get("num_replicas", trainer.world_size),
        accumulation=trainer.accumulate_grad_batches,
    )
    steps = -1.0
    # Under manual optimization the Trainer counts steps of all optimizers together.
    if trainer.lightning_module.automatic_optimization:
        steps = trainer.estimated_stepping_batches
    return replace(facts, steps=int(steps) if 0 < steps < math.inf else None)


def _held(trainer: Any, wish: Wish, optimizer: Optimizer) -> DecayController:
    mark_groups(optimizer, trainer.lightning_module)
    schedulers = (
        _paced(trainer, config)
        for config in trainer.lr_scheduler_configs
        if config.scheduler.optimizer is optimizer
    )
    return wish.controller(
        optimizer,
        loop=facts_of_trainer(trainer),
        caller=_NAME,
        scheduler=next(schedulers, None),
    )


def _paced(trainer: Any, config: Any) -> Any:
    """Return a scheduler that is followed as often as the Trainer steps it."""
    batches, each_epoch = trainer.num_training_batches, config.interval == "epoch"
    by_hand = not trainer.lightning_module.automatic_optimization
    if by_hand or (each_epoch and batches == math.inf):
        return config.scheduler
    unit = math.ceil(batches / trainer.accumulate_grad_batches) if each_epoch else 1
    return Paced(config.scheduler, every=unit * config.frequency)
