"""What a checkpoint says of a controller, and whether it belongs to this optimizer."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch.optim import Optimizer

from dwindle.errors import CheckpointError, RangeError
from dwindle.pytorch.holding.hold import Hold

# Version 1: the first. Plain numbers, texts and lists only: torch.load reads them with
# weights_only=True, and JSON can hold them.
VERSION = 1
_WHAT = {
    "version": "The version of the controller's state",
    "optimizer": "The class of the optimizer",
    "groups": "The parameters of each group, their names, shapes and order,",
}


def saved(hold: Hold) -> dict[str, Any]:
    """Return the state of a controller as plain data."""
    return {
        **_identity(hold.optimizer),
        "lr_peaks": [plan.lr_peak for plan in hold.plans],
        "mechanisms": [plan.mechanism for plan in hold.plans],
        "decay_scales": [plan.decay_scale for plan in hold.plans],
        "steps_done": hold.steps_done,
        "e_folds": list(hold.e_folds),
        "owed": list(hold.owed),
        "lr_seen": list(hold.lr_seen),
    }


def check_belongs(state: object, optimizer: Optimizer) -> None:
    """Refuse the state of another optimizer, or of parameters in another order.

    Raises:
        CheckpointError: With what differs.

    """
    if not isinstance(state, Mapping):
        remedy = (
            "Write load_state_dict(checkpoint[...]), of what state_dict() returned."
        )
        raise RangeError("state", repr(state), "a dict of a controller", remedy)
    here = _identity(optimizer)
    for name, what in _WHAT.items():
        if state.get(name) != here[name]:
            there, ours = _first_difference(state.get(name), here[name])
            raise CheckpointError(what, there, ours)


def take_saved(state: Mapping[str, Any], hold: Hold) -> None:
    """Put the numbers of a checkpoint into a hold."""
    hold.steps_done = hold.rose_at = int(state["steps_done"])
    hold.e_folds = [float(each) for each in state["e_folds"]]
    hold.owed = [float(each) for each in state["owed"]]
    # Older states do not have it.
    hold.lr_seen = [float(each) for each in state.get("lr_seen", hold.lr_seen)]


def _identity(optimizer: Optimizer) -> dict[str, Any]:
    return {
        "version": VERSION,
        "optimizer": type(optimizer).__name__,
        "groups": [_parameters(group) for group in optimizer.param_groups],
    }


def _parameters(group: Mapping[str, Any]) -> list[str]:
    """Tell each parameter by its shape, and by its name if the optimizer knows it."""
    names: Sequence[str] = group.get("param_names") or [""] * len(group["params"])
    pairs = zip(names, group["params"], strict=True)
    return [f"{name} {tuple(each.shape)}".strip() for name, each in pairs]


def _first_difference(there: Any, here: Any) -> tuple[str, str]:
    """Walk into two lists to where they differ."""
    while isinstance(there, list) and isinstance(here, list):
        if len(there) != len(here):
            return f"{len(there)} of them", str(len(here))
        there, here = next((a, b) for a, b in zip(there, here, strict=True) if a != b)
    return str(there), str(here)
