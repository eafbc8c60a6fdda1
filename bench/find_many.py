"""What it costs to plan, store, read back and report many trainings of one search.

The trainings themselves cost nothing: losses follow from a formula with the noise of
seeds. Each part is also measured by itself; ``search`` is all of ``run_search``, plan,
training, commit and progress.

    python bench/find_many.py [trainings ...]
"""

import json
import math
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from dwindle.decay.run import Run
from dwindle.finding.driver import SearchPlan, run_search
from dwindle.finding.found import Found, found_of
from dwindle.finding.function import InlineRecipe
from dwindle.finding.page import page_of_found, render_page
from dwindle.finding.records import FindSpec, OwnConditions, find_from_stored
from dwindle.finding.rounds import Rounds, design_of
from dwindle.finding.unit import Unit
from dwindle.stats import search as read_outs
from dwindle.store.records import Outcome
from dwindle.store.store import read_store

KNOB = "torch.optim.AdamW"
# No number of seeds reaches this: the search ends at its limit of trainings.
NEVER = 1.0000001
_LIMIT_MS = 0.3


def loss(weight_decay: float, seed: int) -> float:
    """Return a bowl over ln λ whose level and place are the seed's."""
    noise = random.Random(f"{seed}")  # noqa: S311 - noise of losses
    level, place = noise.gauss(0, 0.05), noise.gauss(math.log(0.03), 0.3)
    x = math.log(max(weight_decay, 1e-5))
    own = random.Random(f"{seed} {weight_decay}").gauss(0, 0.01)  # noqa: S311
    return math.exp(0.01 * (x - place) ** 2 + level + own)


def search_of(trainings: int) -> SearchPlan:
    """Return a search that ends after so many trainings."""
    spec = FindSpec(name="many", low=1e-4, high=1.0, trainings=trainings, within=NEVER)
    conditions = OwnConditions(
        training=("many:loss",), knob=KNOB, typed=KNOB, metric="loss"
    )
    unit = Unit.from_names(KNOB, None, Run())
    recipe = InlineRecipe(function=loss)
    return SearchPlan(spec=spec, conditions=conditions, unit=unit, recipe=recipe)


def planned(search: SearchPlan) -> int:
    """Plan all trainings, with outcomes as they would come; return how many."""
    known: dict[tuple[str, int], Outcome] = {}
    design = design_of(search.spec, search.conditions, search.unit)
    rounds = Rounds(unit=search.unit, design=design, known=known)
    while proposed := rounds.next():
        for each in proposed:
            value = loss(float(each.typed), each.seed)
            known[each.name] = Outcome(status="ok", steps=0, seconds=0.0, loss=value)
    return len(known)


def milliseconds(call: Callable[[], object], count: int) -> float:
    """Return the milliseconds of a processor that a call takes, per training."""
    start = time.process_time()
    call()
    return 1e3 * (time.process_time() - start) / count


def measured(folder: Path, count: int) -> dict[str, float]:
    """Return the milliseconds per training of each part."""
    search, path = search_of(count), folder / f"{count}.db"
    found: list[Found] = []

    def read() -> None:
        read_outs._fitted.cache_clear()  # noqa: SLF001 - as in a process of its own
        found.append(found_of(find_from_stored(read_store(path))))

    def page() -> None:
        (folder / "page.html").write_text(render_page(page_of_found(found[0])))

    # What the formula costs is no part.
    free = milliseconds(lambda: [loss(0.1, seed) for seed in range(count)], count)
    return {
        "plan": milliseconds(lambda: planned(search), count) - free,
        "search": milliseconds(lambda: run_search(search, path), count) - free,
        "read": milliseconds(read, count),
        "text": milliseconds(lambda: str(found[0]), count),
        "json": milliseconds(lambda: json.dumps(found[0].as_dict()), count),
        "page": milliseconds(page, count),
    }


def main() -> None:
    """Print a line for each number of trainings."""
    counts = [int(each) for each in sys.argv[1:]] or [100, 1000, 10_000, 100_000]
    with TemporaryDirectory() as folder:
        for count in counts:
            parts = measured(Path(folder), count)
            shown = "  ".join(f"{name} {each:6.3f}" for name, each in parts.items())
            print(f"{count:7,} trainings, ms each: {shown}", flush=True)


if __name__ == "__main__":
    main()
