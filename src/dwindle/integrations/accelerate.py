"""Hold the decay in a loop with Accelerate: one call, checkpoints included."""

from importlib import import_module
from typing import Any, Unpack

from dwindle.decay.half_life import HalfLife
from dwindle.decay.run import Run
from dwindle.errors import MissingLibraryError

try:
    from torch.optim import Optimizer
except ImportError as error:
    raise MissingLibraryError("torch", "A trainer of torch", "torch") from error

from dwindle.integrations.torch_loops import (
    Holding,
    Paced,
    Wish,
    facts_of_loop,
    refuse_deepspeed,
)
from dwindle.pytorch.controller import DecayController


def hold_decay(
    accelerator: Any,  # Any here and below: the library has no types here
    optimizer: Optimizer,
    half_life: str | HalfLife | None = None,
    *,
    dataloader: Any = None,
    scheduler: Any = None,
    **holding: Unpack[Holding],
) -> DecayController:
    """Hold a half-life, or a penalty, in a loop that uses Accelerate.

    Call it once, after ``accelerator.prepare``::

        model, optimizer, loader, scheduler = accelerator.prepare(...)
        decay = hold_decay(
            accelerator, optimizer, half_life="3 epochs", dataloader=loader
        )

    The loop stays as it is. ``save_state`` and ``load_state`` carry the controller.
    Steps that Accelerate leaves out, while it accumulates gradients or where the loss
    scale overflowed, do not decay and are not counted.

    Args:
        accelerator: The Accelerator; it knows processes and accumulation.
        optimizer: The optimizer, prepared or not.
        half_life: "3 epochs", "2e9 tokens", "20% of the run", or a HalfLife; at the
            peak lr.
        dataloader: The loader of the training, prepared or not: batch and epoch are
            read from it.
        scheduler: The lr scheduler, where the optimizer does not have the peak lr.
        **holding: ``penalty`` instead of a half-life, ``schedule``, ``lr_peak``,
            ``run`` and its facts one by one, as
            :class:`~dwindle.integrations.torch_loops.Holding` has them.

    Returns:
        The controller, registered for the checkpoints of the accelerator.

    Raises:
        MissingLibraryError: If Accelerate is not installed.
        RangeError: If the half-life is no number with a clock.
        MissingFactError: If the clock of the half-life needs a fact that is not known.
        RefusedError: If the decay cannot be held exactly.

    """
    try:
        import_module("accelerate")
    except ImportError as error:
        raise MissingLibraryError("accelerate", "hold_decay", "accelerate") from error
    refuse_deepspeed(str(accelerator.distributed_type))
    wish = Wish.of(half_life, **holding)
    loop = facts_of_loader(accelerator, dataloader)
    wish.warn_of_contradictions(loop, caller="hold_decay")
    # An AcceleratedScheduler steps the one that it wraps once per process.
    if getattr(scheduler, "step_with_optimizer", False):
        times = 1 if scheduler.split_batches else accelerator.num_processes
        scheduler = Paced(scheduler.scheduler, times=times)
    controller = wish.controller(
        optimizer, loop=loop, caller="hold_decay", scheduler=scheduler
    )
    accelerator.register_for_checkpointing(controller)
    return controller


def facts_of_loader(accelerator: Any, dataloader: Any) -> Run:
    """Read batch and epoch from a loader, prepared or not yet."""
    if dataloader is None:
        return Run()
    processes = 1 if accelerator.split_batches else accelerator.num_processes
    return facts_of_loop(
        dataloader,
        processes=processes,
        accumulation=accelerator.gradient_accumulation_steps,
        is_shared=hasattr(dataloader, "total_batch_size"),  # when it is prepared
    )
