"""A scaling rule by hand: one power after the other, and the lr of a shrink rule."""


def knob_factor(rule, family, before, after):
    factor = 1.0
    for quantity, exponent in rule.exponents.items():
        factor *= (after[quantity] / before[quantity]) ** exponent
    without_lr = ("schedule-only", "constant", "proximal-schedule-only")
    if rule.coordinate == "shrink" and family not in without_lr:
        # shrink = lr * knob, so the knob gets what the lr does not.
        factor /= after["lr"] / before["lr"]
    return factor
