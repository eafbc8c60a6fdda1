"""Time a DecayController: what it adds to a step, natively and by multiplying.

A model of 10 million weights in 100 tensors, one param group. An optimizer alone and
one that is held take turns on the same weights and gradients, so that a busy moment of
the machine hits both alike; medians are reported. What the hooks cost by themselves is
measured on 100 tensors of one weight, where nothing else is. Where the controller sets
the knob, the optimizer alone decays by it, too: its decay is not the controller's cost
(100 multiplications in AdamW's for-loop, most of what its hooks seemed to cost).

A multiplication reads and writes all weights: two passes over memory, beside those of
the step. Their share is the floor in bytes, and ten points above it are allowed: below
the floor only a multiplication inside of the optimizer's own kernel could go.
"""

import argparse
import json
import logging
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from machine import seconds_of
from rich.console import Console
from rich.table import Table

from dwindle.pytorch import DecayController

TENSORS = 100
SHAPE = (250, 400)
WEIGHTS = TENSORS * SHAPE[0] * SHAPE[1]
# A multiplication reads every weight once and writes it once.
_WIDTH = 100
BYTES_OF_A_MULTIPLY = 2 * 4 * WEIGHTS
_KNOB = 0.1  # of an optimizer that decays by itself; its size costs nothing
TINY_REPEATS = 40  # times as many steps: they are short, and microseconds are asked


@dataclass(frozen=True, kw_only=True)
class Case:
    """An optimizer, how it must be held, and what that may cost."""

    build: Callable[..., torch.optim.Optimizer]
    options: Mapping[str, Any]
    mechanism: str
    most_share: float | None = None
    most_hook_us: float | None = None
    passes: int | None = None  # over memory, of a step that is multiplied

    @property
    def floor(self) -> float | None:
        """What two passes more are of the step's own, where weights are multiplied."""
        return None if self.passes is None else 2 / self.passes


ROOM = 0.10
_SGD = {"lr": 1e-4, "momentum": 0.9}
CASES: Mapping[str, Case] = {
    "AdamW fused": Case(
        build=torch.optim.AdamW,
        options={"lr": 1e-4, "fused": True},
        mechanism="native",
        most_share=0.01,
        most_hook_us=30.0,
    ),
    "AdamW for-loop": Case(
        build=torch.optim.AdamW,
        options={"lr": 1e-4, "foreach": False},
        mechanism="native",
        most_hook_us=30.0,
    ),
    "SGD fused": Case(
        build=torch.optim.SGD,
        options={"lr": 1e-4, "fused": True},
        mechanism="native",
        most_hook_us=60.0,  # it looks at each gradient: none may be sparse
    ),
    "SGD momentum fused": Case(
        build=torch.optim.SGD,
        options=_SGD | {"fused": True},
        mechanism="multiply",
        passes=5,  # gradient; momentum and weights, read and written
    ),
    "SGD momentum foreach": Case(
        build=torch.optim.SGD,
        options=_SGD | {"foreach": True},
        mechanism="multiply",
        passes=8,  # momentum times 0.9: 2; plus gradient: 3; onto the weights: 3
    ),
    "SGD momentum for-loop": Case(
        build=torch.optim.SGD,
        options=_SGD | {"foreach": False},
        mechanism="multiply",
        passes=5,  # one tensor after the other: it stays in the cache
    ),
    "Adam fused": Case(
        build=torch.optim.Adam,
        options={"lr": 1e-4, "fused": True},
        mechanism="multiply",
        passes=7,  # gradient; two moments and weights, read and written
    ),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Args:
        case: Optimizer and implementation.
        mechanism: How the controller holds it.
        step_ms: Median of a step alone.
        held_ms: Median of a step that is held.
        share: Median over pairs of steps of held over alone, minus 1.
        share_low: Its lower quartile over the pairs.
        share_high: Its upper quartile.
        hook_us: Microseconds that the hooks add to a step on 100 tiny tensors.
        floor: What two passes more are of the step's own; None of native ones.
        most_share: Largest share that is good enough; None where none is asked.
        most_hook_us: Largest cost of the hooks that is good enough, if there is one.
        multiply_ms: Shortest time in which this machine multiplies all weights, of the
            multiplying kind only.

    """

    case: str
    mechanism: str
    step_ms: float
    held_ms: float
    share: float
    share_low: float
    share_high: float
    hook_us: float
    floor: float | None
    most_share: float | None
    most_hook_us: float | None
    multiply_ms: float | None

    @property
    def met(self) -> bool:
        """Whether both targets are met."""
        share = self.hook_share if self.mechanism == "native" else self.share
        limit = self.most_hook_us or math.inf
        most = self.most_share or math.inf
        return share <= most and self.hook_us <= limit

    @property
    def judged(self) -> str:
        """What is judged, in a few words: hooks of native ones, else what is added."""
        if self.mechanism != "native":
            return f"added ≤ {self.most_share:.0%}"
        share = f" ≤ {self.most_share:.0%}," if self.most_share else ""
        return f"hooks{share} ≤ {self.most_hook_us or math.inf:.0f} µs"

    @property
    def hook_share(self) -> float:
        """What the hooks add, over a step: of native ones the sharper measure."""
        return self.hook_us / self.step_ms / 1e3


def _weights(shape: tuple[int, ...]) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    weights = []
    for _ in range(TENSORS):
        weight = torch.nn.Parameter(torch.randn(shape, generator=generator))
        weight.grad = torch.randn(shape, generator=generator)
        weights.append(weight)
    return weights


def _pairs(
    case: Case, shape: tuple[int, ...], repeats: int
) -> tuple[str, list[tuple[float, float]]]:
    """Return the mechanism, and seconds of a step alone and held, taken in turn."""
    weights = _weights(shape)
    knob = _KNOB if case.mechanism == "native" else 0.0
    alone = case.build(weights, **case.options, weight_decay=knob)
    held = case.build(weights, **case.options, weight_decay=0.0)
    controller = DecayController(held, half_life="10000 steps")
    for _ in range(3):
        alone.step()
        held.step()
    pairs = []
    for turn in range(repeats):
        # Whoever comes second finds the caches as the other left them: take turns.
        first, second = (alone, held) if turn % 2 else (held, alone)
        took = {id(each): seconds_of(each.step)[0] for each in (first, second)}
        pairs.append((took[id(alone)], took[id(held)]))
    return controller.mechanisms[0], pairs


def measure(name: str, repeats: int) -> Row:
    """Measure one case on the large model and on the tiny one."""
    case = CASES[name]
    mechanism, large = _pairs(case, SHAPE, repeats)
    _, tiny = _pairs(case, (1,), repeats * TINY_REPEATS)
    shares = sorted(held / alone - 1 for alone, held in large)
    quarter = len(shares) // 4
    return Row(
        case=name,
        mechanism=mechanism,
        step_ms=median(alone for alone, _ in large) * 1e3,
        held_ms=median(held for _, held in large) * 1e3,
        share=median(shares),
        share_low=shares[quarter],
        share_high=shares[-1 - quarter],
        hook_us=median(held - alone for alone, held in tiny) * 1e6,
        floor=case.floor,
        most_share=case.most_share if case.floor is None else case.floor + ROOM,
        most_hook_us=case.most_hook_us,
        multiply_ms=_multiply_ms() if mechanism == "multiply" else None,
    )


def _multiply_ms() -> float:
    """Return the shortest time of one multiplication of as many weights at once."""
    weights = torch.ones(WEIGHTS)
    # A factor that keeps them normal numbers however often it is applied.
    return min(seconds_of(lambda: weights.mul_(1.0))[0] for _ in range(30)) * 1e3


def _print_table(console: Console, rows: list[Row]) -> None:
    title = f"What a DecayController adds to a step of {WEIGHTS:,} weights"
    table = Table(title=title, box=None, pad_edge=False, collapse_padding=True)
    for column in ("optimizer", "held by"):
        table.add_column(column, no_wrap=True)
    heads = ("step ms", "added", "floor", "above it", "hooks µs", "judged", "")
    for column in heads:
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.case,
            row.mechanism,
            f"{row.step_ms:.2f}",
            f"{row.share:+.1%}",
            "" if row.floor is None else f"{row.floor:.1%}",
            "" if row.floor is None else f"{100 * (row.share - row.floor):+.1f}",
            f"{row.hook_us:.1f} ({row.hook_share:.2%})",
            row.judged,
            "met" if row.met else "missed",
        )
    console.print(table)
    console.print(
        "added: median over pairs of steps. floor: two passes over memory beside those"
        " of the step; above it in points. hooks: on 100 tensors of one weight, one"
        " param group, and their share of the step."
    )
    for row in rows:
        if row.multiply_ms is not None:
            rate = BYTES_OF_A_MULTIPLY / row.multiply_ms / 1e6
            console.print(
                f"{row.case}: reading and writing all weights once, in one piece, is"
                f" {row.multiply_ms / row.step_ms:.0%} of the step ({rate:.0f} GB/s)."
            )


def _write(path: Path, rows: list[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "bench": "controller",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "weights": WEIGHTS,
        "tensors": TENSORS,
        "rows": [
            asdict(row) | {"hook_share": row.hook_share, "met": row.met} for row in rows
        ],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=CASES)
    parser.add_argument("--repeats", type=int, default=100)
    out = Path("build/bench-controller.json")
    parser.add_argument("--out", type=Path, default=out)
    return parser.parse_args()


def main() -> int:
    """Run the benchmark; return 1 if a case is held in another way than expected."""
    arguments = _arguments()
    # That a knob is set to 0 is told in the table.
    logging.getLogger("dwindle").setLevel(logging.ERROR)
    # As wide in a log file as in a terminal.
    console, rows = Console(width=_WIDTH), []
    for name in arguments.cases:
        console.print(f"{name} …")
        rows.append(measure(name, arguments.repeats))
        _write(arguments.out, rows)
    _print_table(console, rows)
    unlike = [row.case for row in rows if row.mechanism != CASES[row.case].mechanism]
    if unlike:
        console.print(f"held in another way than expected: {', '.join(unlike)}")
    return 1 if unlike else 0


if __name__ == "__main__":
    sys.exit(main())
