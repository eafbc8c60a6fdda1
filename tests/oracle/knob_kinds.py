"""One knob for each way of reading a number: what only differs in its name is one kind.

A law over all triples of kinds is a law over all triples of knobs.
"""


def reading_of(knob):
    """All that a conversion can see of a record."""
    return (
        knob.family,
        knob.penalty,
        knob.scale,
        knob.clock,
        knob.timescale,
        knob.takes_momentum,
        knob.name == "shrink",
    )


def kinds(knobs):
    """The first knob of each kind, as names."""
    first = {}
    for knob in knobs:
        if knob.name != "half-life":  # it has no clock, and so no number
            first.setdefault(reading_of(knob), knob.name)
    return sorted(first.values())
