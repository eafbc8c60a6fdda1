"""Claims 3 and 4: does the size of the network reach the decay of one weight?

The corners of the digits are zero in every image. The weights that leave those pixels
never see a gradient of the data term, so a real training shows what the penalty alone
does to a weight.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dwindle.answer.claims import claimed
from dwindle.answer.plain import (
    AskersObjective,
    Descent,
    PlainSamples,
    build_network,
    dead_inputs,
    matrices,
    read_digits,
    train,
)
from dwindle.findings.model import Claim

L2 = 1e-3  # the λ of the answer's own example
# About a hundred updates: enough for a decay to show, few for roundings to add up.
HOW = Descent(lr=0.05, batch_size=32, epochs=5)
# scikit-learn's digits, 8 × 8 pixels, some of which are dead: their weights only decay.
SAMPLES = 600
INPUTS, CLASSES = 64, 10
# (width, hidden layers); ``_exponent`` compares the first with the third.
SIZES = ((16, 2), (64, 2), (256, 2), (64, 1), (64, 4))
# A hundred updates in float64 multiply a weight to about 1e-14.
ROUNDING = 1e-11
_LEAST_SPREAD = 1e-15  # a few units in the last place of 1


@dataclass(frozen=True, kw_only=True)
class Witness:
    """What one trained network showed; shrink is per step, of weights from dead pixels.

    Terms are those of the asker's objective: mean cross-entropy and penalty, over the
    whole training set, before and after training.
    """

    width: int
    depth: int
    weights: int
    shrink: float
    data_before: float
    penalty_before: float
    data_after: float
    penalty_after: float


def observe(
    size: tuple[int, int], samples: PlainSamples, objective: AskersObjective
) -> Witness:
    """Train one network by the asker's objective; watch its zero-gradient weights."""
    width, depth = size
    network = build_network([INPUTS, *[width] * depth, CLASSES], seed=0)
    first, dead = matrices(network)[0], dead_inputs(samples)
    start = first[:, dead].detach().clone()

    def terms() -> tuple[float, float]:
        data = objective.data_term(network, samples).item()
        return data, objective.penalty(network).item()

    before = terms()
    updates = train(
        [{"params": network.parameters()}],
        samples,
        lambda batch: objective.data_term(network, batch) + objective.penalty(network),
        HOW,
    )
    after = terms()
    kept = (first[:, dead].detach() / start).mean().item()
    return Witness(
        width=width,
        depth=depth,
        weights=sum(w.numel() for w in matrices(network)),
        # kept is (1 − s)^updates: by logarithms, since s is small.
        shrink=-math.expm1(math.log(kept) / updates),
        data_before=before[0],
        penalty_before=before[1],
        data_after=after[0],
        penalty_after=after[1],
    )


def observe_all(normalization: str) -> list[Witness]:
    """Observe every size of network under one reading of the penalty."""
    samples = read_digits(SAMPLES)
    objective = AskersObjective(l2=L2, normalization=normalization)
    return [observe(size, samples, objective) for size in SIZES]


def check_layers_and_units() -> Claim:
    """Measure the decay of one weight, and the penalty, over widths and depths."""
    seen = observe_all("none")
    # The gradient of λ Σ w² is 2λw.
    expected = 2 * HOW.lr * L2
    same = all(abs(w.shrink / expected - 1) < ROUNDING for w in seen)
    grows_before = _exponent(seen, lambda w: w.penalty_before)
    grows_after = _exponent(seen, lambda w: w.penalty_after)
    grows = grows_before > 0 and grows_after > 0
    spread = max(w.shrink for w in seen) / min(w.shrink for w in seen) - 1
    # A spread of exactly zero is a fact about rounding, not about the networks.
    differ = "less than 1e-15" if spread < _LEAST_SPREAD else f"{spread:.0e}"
    rows = (
        (
            f"{w.width} × {w.depth}",
            f"{w.weights:,}",
            f"{100 * w.shrink:.6g} %",
            f"{w.penalty_before:.3f}",
            f"{w.data_before:.3f}",
            f"{w.penalty_after:.3f}",
            f"{w.data_after:.3f}",
        )
        for w in seen
    )
    columns = ("width × hidden layers", "weights", "decay per step", "penalty at start")
    return claimed(
        "layers-and-units",
        "holds" if same and grows else "does not hold",
        *(
            (*columns, "data term at start", "penalty trained", "data term trained"),
            *rows,
        ),
        epochs=HOW.epochs,
        percent=100 * seen[0].shrink,
        differ=differ,
        before=grows_before,
        after=grows_after,
    )


def _exponent(seen: Sequence[Witness], of: Callable[[Witness], float]) -> float:
    """Return the power of the number of weights, between widths 16 and 256."""
    small, large = seen[0], seen[2]
    return math.log(of(large) / of(small)) / math.log(large.weights / small.weights)


def check_normalization() -> Claim:
    """Measure the decay of one weight under both readings of the asker's proposal."""
    readings = {name: observe_all(name) for name in ("layer-mean", "global-mean")}
    rows = tuple(
        (
            f"{by_layer.width} × {by_layer.depth}",
            f"{by_layer.weights:,}",
            f"{by_layer.shrink:.3e}",
            f"{by_all.shrink:.3e}",
        )
        for by_layer, by_all in zip(*readings.values(), strict=True)
    )
    falls = {
        name: _exponent(seen, lambda w: w.shrink) for name, seen in readings.items()
    }
    by_layer, by_all = falls.values()
    fewer = readings["layer-mean"][0].shrink / readings["layer-mean"][2].shrink
    return claimed(
        "normalization",
        "holds" if by_layer < 0 and by_all < 0 else "does not hold",
        *(("width × hidden layers", "weights", "λ/(L·n·n′)", "λ/weights"), *rows),
        fewer=fewer,
        by_layer=by_layer,
        by_all=by_all,
    )
