"""Hold the decay in the Trainer of transformers: one callback, checkpoints included."""

from dataclasses import replace
from logging import getLogger
from typing import Any, Unpack

from dwindle.decay.half_life import HalfLife
from dwindle.decay.run import Run
from dwindle.errors import MissingLibraryError
from dwindle.integrations.torch_loops import (
    MADE_WITHOUT,
    Holding,
    Wish,
    facts_of_loop,
    mark_groups,
    refuse_deepspeed,
)
from dwindle.pytorch.controller import DecayController

try:
    from transformers import TrainerCallback
    from transformers.trainer_callback import ExportableState
except ImportError as error:
    raise MissingLibraryError(
        "transformers", "DecayCallback of the Trainer", "transformers"
    ) from error

_LOG = getLogger("dwindle")
_NAME = "DecayCallback"


class DecayCallback(  # misc: without the library its classes are Any to mypy
    TrainerCallback,  # type: ignore[misc]
    ExportableState,  # type: ignore[misc]
):
    """Holds a half-life, or a penalty, through a run of ``transformers.Trainer``.

    ``Trainer(..., callbacks=[DecayCallback(half_life="3 epochs")])`` and nothing else
    changes: the batch of a step (per device, accumulation, processes), the data and the
    number of steps are read from the Trainer, the peak lr from its scheduler.
    Checkpoints carry the state, and ``resume_from_checkpoint`` goes on with it. (Under
    ``restore_callback_states_from_checkpoint`` the Trainer makes another callback
    then: its ``callback_handler.callbacks`` has the one whose controller is at work.)

    The optimizer's groups decide which weights decay. The Trainer's default groups let
    embeddings, and norms with unusual names, decay. To choose by type and shape::

        groups = decay_groups(model, weight_decay=0.1)
        optimizer = torch.optim.AdamW(groups, lr=args.learning_rate)
        Trainer(model, args, ..., optimizers=(optimizer, None), callbacks=[...])

    Args:
        half_life: "3 epochs", "2e9 tokens", "20% of the run", or a HalfLife; at the
            peak lr.
        **holding: ``penalty`` instead of it, ``schedule``, ``lr_peak``, ``run`` and its
            facts one by one, as :class:`~dwindle.integrations.torch_loops.Holding` has
            them, where the Trainer does not know them.

    Raises:
        RangeError: If the half-life is no number with a clock.
        MissingFactError: At the start of training, if a fact is known to nobody.
        RefusedError: At the start of training, if the decay cannot be held exactly.

    """

    def __init__(
        self,
        half_life: str | HalfLife | None = None,
        **holding: Unpack[Holding],
    ) -> None:
        self.wish = Wish.of(half_life, **holding)
        self.controller: DecayController | None = None
        """What holds the decay, from the start of training on; print it."""

    def __repr__(self) -> str:
        if self.controller is None:
            return f"{_NAME} of transformers: {self.wish}; training has not begun"
        return f"{_NAME} of transformers, with a {self.controller!r}"

    # Any here and below: the Trainer's objects have no types without the library.
    def on_train_begin(self, args: Any, state: Any, *_: Any, **parts: Any) -> None:
        """Take hold of the optimizer; go on from the state of a checkpoint."""
        refuse_deepspeed("deepspeed" if getattr(args, "deepspeed", None) else "")
        self.release()
        optimizer = parts["optimizer"]
        mark_groups(optimizer, parts["model"])
        loop = facts_of_trainer(args, state, parts["train_dataloader"])
        self.wish.warn_of_contradictions(loop, caller=_NAME)
        self.controller = self.wish.controller(
            optimizer,
            loop=loop,
            caller=_NAME,
            scheduler=parts["lr_scheduler"],
        )
        if state.global_step:
            stored = state.stateful_callbacks.get(type(self).__name__) or {}
            saved = stored.get("attributes", {}).get("saved")
            if saved is None:
                _LOG.warning(MADE_WITHOUT, _NAME)
            else:
                self.controller.load_state_dict(saved)
        # The Trainer writes only to names that its state has: a checkpoint of before
        # this callback has none of ours.
        state.stateful_callbacks[type(self).__name__] = self.state()

    def on_train_end(self, *_: Any, **parts: Any) -> None:  # noqa: ARG002 by its name
        """Let go of the optimizer; the controller can still be read."""
        self.release()

    def release(self) -> None:
        """Take the hooks off the optimizer."""
        if self.controller is not None:
            self.controller.remove()

    def state(self) -> dict[str, Any]:  # Any: what JSON can hold
        """Return what the Trainer writes into a checkpoint, as JSON."""
        held = None if self.controller is None else self.controller.state_dict()
        return {"args": self.wish.arguments(), "attributes": {"saved": held}}


def facts_of_trainer(args: Any, state: Any, loader: Any) -> Run:
    """Read batch, data and length of the run from what callbacks are given."""
    facts = facts_of_loop(
        loader,
        processes=args.world_size,
        accumulation=args.gradient_accumulation_steps,
    )
    return replace(facts, steps=state.max_steps or None)
