"""What is trained on: data, how a seed splits them for validation, layer shapes."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dwindle.store.records import Scale
from dwindle.store.spec import ProblemFacts


@dataclass(frozen=True, eq=False)
class Data:
    """All samples of a problem, before any split."""

    x: NDArray[np.float32]  # (samples, inputs)
    y: NDArray[np.int64]  # (samples,)


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of the data: a pool to draw training sets from, and a validation set."""

    pool: NDArray[np.int64]  # (pool,)
    valid: NDArray[np.int64]  # (valid,)


class Problem(Hashable, Protocol):
    """A classification task for dense ReLU networks.

    Anything with these members will do; the ones that dwindle brings are in
    ``dwindle.study.problems``. ``hidden`` says whether there are hidden layers at all:
    a problem without is a multinomial logistic regression, whatever the depth asked.
    """

    @property
    def name(self) -> str:
        """The name that study files and stores use."""

    @property
    def inputs(self) -> int:
        """Features of a sample."""

    @property
    def classes(self) -> int:
        """Classes to tell apart."""

    @property
    def pool_size(self) -> int:
        """Samples that training sets are drawn from."""

    @property
    def valid_size(self) -> int:
        """Samples that a seed validates with."""

    @property
    def hidden(self) -> bool:
        """Whether width and depth mean anything here."""

    def load(self) -> Data:
        """Return the data; called once per process."""

    def split(self, seed: int) -> Split:
        """Return the rows that a seed draws from and those that it validates with."""


def layer_shapes(problem: Problem, scale: Scale) -> tuple[tuple[int, int], ...]:
    """Return (fan_in, fan_out) of every weight matrix, from the input on.

    Args:
        problem: The task, which gives the first fan_in and the last fan_out.
        scale: Its ``depth`` counts hidden layers, all of them ``width`` wide.

    Example:
        >>> from dwindle.store.records import Scale
        >>> from dwindle.study.problems import problem
        >>> scale = Scale(
        ...     width=8, depth=2, batch_size=1, dataset_size=1, epochs=1, lr=0.1
        ... )
        >>> layer_shapes(problem("digits-mlp"), scale)
        ((64, 8), (8, 8), (8, 10))

    """
    return facts_of(problem).layer_shapes(scale)


def facts_of(problem: Problem) -> ProblemFacts:
    """Return what a store keeps of a problem: enough to know its networks."""
    return ProblemFacts(
        inputs=problem.inputs,
        classes=problem.classes,
        hidden=problem.hidden,
        validation_samples=problem.valid_size,
    )
