"""One knob for each way of reading a number: what only differs in its name is one kind.

A law over all triples of kinds is a law over all triples of knobs.
"""

from dataclasses import replace


def reading_of(knob):
    """The fields of a record that a conversion reads."""
    return (
        knob.family,
        knob.penalty,
        knob.scale,
        knob.clock,
        knob.timescale,
        *_momentum_of(knob),
        knob.name == "shrink",
    )


def _momentum_of(knob):
    """Which options of SGD reach the decay, and which are on by default."""
    if knob.family != "coupled-sgd":
        return ()
    own = knob.options
    return own.momentum, own.dampening, own.nesterov, own.dampening_is_flag


def kinds(knobs):
    """The first knob of each kind, as names."""
    first = {}
    for knob in knobs:
        if knob.name != "half-life":  # it has no clock, and so no number
            first.setdefault(reading_of(knob), knob.name)
    return sorted(first.values())


def fitted(run, knob):
    """The run with only those facts of momentum that the optimizer has."""
    if knob.family != "coupled-sgd":
        return run
    lacking = [
        fact
        for fact in ("momentum", "dampening", "nesterov")
        if getattr(knob.options, fact) is None
    ]
    without = {fact: False if fact == "nesterov" else 0.0 for fact in lacking}
    if "momentum" in lacking:
        without["nesterov"] = False
    return replace(run, **without)


def pairs_of(names, *, one_in=1, at=0):
    """One in so many ordered pairs: every name is in both places of about as many.

    Those at 0, 1, ..., ``one_in - 1`` are all of them, each once.
    """
    for place, source in enumerate(names):
        for target in names[(at - place) % one_in :: one_in]:
            yield source, target
