"""What a worker does: train the trials of a pack by name, nothing but plain data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dwindle.errors import MissingLibraryError
from dwindle.store.records import Outcome, Trial


@dataclass(frozen=True, kw_only=True)
class Work:
    """The trials of a pack and with what numbers, where, they train."""

    trials: tuple[Trial, ...]
    dtype: str = "float32"
    device: str = "cpu"


Train = Callable[[Work], Sequence[Outcome]]


@dataclass(frozen=True)
class Engine:
    """What trains packs: two functions that a worker can import by name.

    ``version`` loads whatever training needs and tells the engine's version, which is
    part of the key of every training. ``load`` fetches the data of a named problem.
    """

    train: Train
    version: Callable[[], str]
    load: Callable[[str], object]


def train_with_engine(work: Work) -> Sequence[Outcome]:
    """Train a pack with the stacked engine, on the problem that its trials name."""
    from dwindle.study.engine import train_pack
    from dwindle.study.problems import problem

    return train_pack(
        work.trials,
        problem=problem(work.trials[0].problem),
        dtype=work.dtype,
        device=work.device,
    )


def stacked_version() -> str:
    """Load the stacked engine and return its version.

    Raises:
        MissingLibraryError: If there is no torch to train with.

    """
    try:
        from dwindle.study.engine import ENGINE_VERSION
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingLibraryError("PyTorch", "A study", "study") from error
    return ENGINE_VERSION


def load_problem(name: str) -> object:
    """Read the data of a problem, which the engine then finds at hand."""
    from dwindle.study.problems import load_once, problem

    load_once(problem(name))
    return None


STACKED = Engine(train_with_engine, stacked_version, load_problem)
