"""The codes of a change: what moved between two runs although its number stayed."""

from dwindle.audit.code import Code

CHANGE_CODES = (
    Code(
        code="DW030",
        severity="warning",
        title="the change moved the half-life",
        why="weight_decay is a number per step or per lr: a new batch size, lr, length "
        "or momentum gives the same number another meaning. Time on the data's clock "
        "(epochs, tokens) is what carries over.",
        found="The half-life at the peak lr before and after, on the best clock that "
        "the facts tell; a change of more than a twentieth is a finding.",
        write="Type the number that the finding gives, or hold the half-life: "
        'DecayController(optimizer, half_life="3 epochs", ...) from dwindle.pytorch.',
        source="Wang & Aitchison 2024 (2405.13698); Bergsma et al. 2025 (2505.13738)",
    ),
    Code(
        code="DW031",
        severity="note",
        title="the change moved what the run leaves of a weight",
        why="With another length or schedule the whole run decays more or less: "
        "e-folds count that, from the first step to the last.",
        found="The e-folds of the run before and after; more than a twentieth is told.",
        write="For longer runs of one model more e-folds are usual; dwindle rescale "
        "gives every published rule.",
        source="arithmetic, step by step along the schedule",
    ),
    Code(
        code="DW032",
        severity="warning",
        title="the change moved the penalty",
        why="Of a coupled decay the number is also the coefficient of an objective. "
        "With converged training that, and not the half-life, is what one optimizes.",
        found="The canonical λ of mean loss + (λ/2)·Σw² before and after.",
        write="Type the number that the finding gives.",
        source="exact",
    ),
    Code(
        code="DW033",
        severity="warning",
        title="the change is of another kind of decay",
        why="The same number in another optimizer is another thing: a penalty becomes "
        "a shrink, a decay gets divided by the gradient's size.",
        found="The families of the two knobs differ.",
        write="Convert: dwindle convert OLD=NUMBER --to NEW.",
        source="dwindle knobs",
    ),
)
