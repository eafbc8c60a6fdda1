"""What a worker does: train the trials of a pack by name, nothing but plain data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dwindle.store.records import Outcome, Trial


@dataclass(frozen=True, kw_only=True)
class Work:
    """The trials of a pack and with what numbers, where, they train."""

    trials: tuple[Trial, ...]
    dtype: str = "float32"
    device: str = "cpu"


Train = Callable[[Work], Sequence[Outcome]]


def train_with_engine(work: Work) -> Sequence[Outcome]:
    """Train a pack with the stacked engine, on the problem that its trials name."""
    from dwindle.study.engine import train_pack
    from dwindle.study.problem import problem

    return train_pack(
        work.trials,
        problem=problem(work.trials[0].problem),
        dtype=work.dtype,
        device=work.device,
    )
