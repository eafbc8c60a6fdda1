"""Checks of schedulers: whose lr they set."""

from collections.abc import Iterator

from dwindle.audit.findings import Finding
from dwindle.pytorch.checks.facts import Facts
from dwindle.pytorch.checks.words import class_path
from dwindle.pytorch.probing.follower import belongs_to


def of_another_optimizer(facts: Facts) -> Iterator[Finding]:
    """DW029: a scheduler that belongs to no optimizer of the program."""
    known = [group.optimizer for group in facts.groups]
    for scheduler in facts.schedulers if known else ():
        if any(belongs_to(scheduler, each) for each in known):
            continue
        name = type(getattr(scheduler, "scheduler", scheduler)).__name__
        path = class_path(known[0])
        yield Finding(
            code="DW029",
            where=name,
            evidence=f"This {name} was built with another optimizer than the one that "
            f"is given: it sets the lr of that one, and the lr of this {path} stays, "
            "with all of its decay.",
            remedy="Build the scheduler after the optimizer that trains, with it: "
            f"{name}(optimizer, ...).",
        )
