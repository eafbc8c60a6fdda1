"""The published scaling rules as records, and what each predicts for a change of scale.

Left out, because they are no power laws between runs: decay that follows the lr
squared (a family, ``corrected``), decay ~ 1/t within a run, update-size matching across
optimizers, factors found for one data set, and rules about β₂. Exponents are as
published; ``evidence`` says on what, ``checked`` what of it was read for this table.
"""

from dwindle.decay.families import DECOUPLED, FAMILIES, SGD
from dwindle.decay.rule import Prediction, Rule, Scale, predict_change
from dwindle.errors import UnknownNameError
from dwindle.errors.nearest import nearest_names

__all__ = ["RULES", "Prediction", "Rule", "predict", "resolve_rule"]

# A penalty, or a prior, is a term of an objective: coupled knobs are that term.
PENALTY_FAMILIES = tuple(each.name for each in FAMILIES.values() if each.is_penalty)
# Families in which one step takes a known fraction off a weight with zero gradient.
SHRINK_FAMILIES = tuple(each.name for each in FAMILIES.values() if each.has_half_life)
DECOUPLED_FAMILIES = tuple(each.name for each in FAMILIES.values() if each.is_decoupled)

RULES: tuple[Rule, ...] = (
    Rule(
        name="question-layer-mean",
        coordinate="penalty",
        # The question means an objective; carried over to a decoupled knob it is the
        # same division, and people do that, so its cost is worth knowing there too.
        families=(*PENALTY_FAMILIES, DECOUPLED.name),
        # λ/(L·n_j·n_{j+1}) differs by layer, but averaged over all weights it is λ over
        # their number, for any shapes: a layer's weights together get λ/L. The
        # question's other reading, one divisor for all layers, is exactly that.
        exponents={"weights": -1.0},
        source="the question (Cross Validated, L2 regularization and network size)",
        checked="primary text",
        evidence="none: a proposal",
        sentence="Divide λ by the number of weights, so that a larger network does "
        "not pay a larger penalty.",
        keeps="size of the penalty term",
    ),
    Rule(
        name="answer",
        coordinate="shrink",
        families=SHRINK_FAMILIES,
        # The answer also explains Bengio's batch and data factors as a matter of
        # summed losses: with the question's mean loss nothing is left to correct.
        exponents={
            "width": 0.0,
            "depth": 0.0,
            "weights": 0.0,
            "batch_size": 0.0,
            "dataset_size": 0.0,
        },
        source="the answer to the question (Cross Validated)",
        checked="primary text",
        evidence="an argument, no measurement",
        sentence="One weight should lose the same fraction in every iteration, "
        "however many others there are.",
        keeps="shrink of one weight per step",
    ),
    Rule(
        name="bengio-map",
        coordinate="penalty",
        families=PENALTY_FAMILIES,
        # With a summed loss the factor is batch/data; with a mean loss the batch
        # cancels. A prior knows nothing of how long and how fast one optimizes.
        exponents={
            "dataset_size": -1.0,
            "batch_size": 0.0,
            "epochs": 0.0,
            "steps": 0.0,
            "lr": 0.0,
        },
        source="Bengio 2012, arXiv 1206.5533; a Gaussian prior says the same",
        checked="from memory",
        evidence="theory; exact for ridge regression",
        sentence="The penalty is a prior, stated once for the whole training set: "
        "the more data, the less it weighs against the mean loss.",
        keeps="prior variance of a weight",
    ),
    Rule(
        name="neal",
        coordinate="penalty",
        families=PENALTY_FAMILIES,
        # λ is one over the prior variance, so it goes with fan_in; 1/N as before.
        exponents={
            "width": 1.0,
            "dataset_size": -1.0,
            "batch_size": 0.0,
            "epochs": 0.0,
            "steps": 0.0,
            "lr": 0.0,
        },
        source="Neal 1996, Bayesian Learning for Neural Networks",
        checked="from memory",
        evidence="theory of wide networks; layers whose fan-in is the width",
        sentence="A prior variance of ω²/fan_in keeps the prior over functions as the "
        "network widens, so λ grows with the width.",
        keeps="prior over functions",
    ),
    Rule(
        name="loshchilov-hutter",
        coordinate="shrink",
        families=DECOUPLED_FAMILIES,
        # λ_norm·√(b/(B·T)): batch, data and epochs enter only through the steps.
        exponents={
            "steps": -0.5,
            "batch_size": 0.0,
            "dataset_size": 0.0,
            "epochs": 0.0,
        },
        source="Loshchilov & Hutter 2019, arXiv 1711.05101, appendix B.1",
        checked="primary text",
        measured_over=("dataset_size", "epochs", "steps"),
        evidence="CIFAR-10 and ImageNet32, up to 1,800 epochs; a few experiments, "
        "none that varied the batch alone",
        sentence="Decay per step falls with the square root of the number of steps.",
        keeps="λ_norm, that is e-folds per √steps",
    ),
    Rule(
        name="half-life-epochs",
        coordinate="shrink",
        families=SHRINK_FAMILIES,
        # An epoch has data/batch steps, and a step takes one over the half-life.
        exponents={
            "batch_size": 1.0,
            "dataset_size": -1.0,
            "epochs": 0.0,
            "width": 0.0,
        },
        source="Wang & Aitchison 2024, arXiv 2405.13698",
        checked="secondary text",
        measured_over=("dataset_size",),
        measured_for=DECOUPLED_FAMILIES,
        evidence="AdamW on ResNet-18, ViT and GPT, 16-fold in data at fixed epochs; "
        "for SGD only by the argument of a prior",
        sentence="A weight forgets over a fixed number of passes through the data.",
        keeps="half-life in epochs",
        clock="epochs",
    ),
    Rule(
        name="half-life-examples",
        coordinate="shrink",
        families=SHRINK_FAMILIES,
        # A step is a batch of examples: one of twice as many takes twice as much.
        exponents={
            "batch_size": 1.0,
            "dataset_size": 0.0,
            "epochs": 0.0,
            "steps": 0.0,
        },
        source="Ji-Ha Kim 2026, A Simpler Parametrization for Modern Optimizers",
        checked="primary text",
        evidence="a small language-model sandbox; for the batch see power-lines-batch",
        sentence="A weight forgets over a fixed number of examples, however many there "
        "are.",
        keeps="half-life in examples",
        clock="examples",
    ),
    Rule(
        name="half-life-tokens",
        coordinate="shrink",
        families=SHRINK_FAMILIES,
        # The same of a batch that is counted in tokens.
        exponents={
            "tokens_per_step": 1.0,
            "dataset_size": 0.0,
            "epochs": 0.0,
            "steps": 0.0,
        },
        source="Ji-Ha Kim 2026, A Simpler Parametrization for Modern Optimizers",
        checked="primary text",
        evidence="a small language-model sandbox; for the batch see power-lines-batch",
        sentence="A weight forgets over a fixed number of tokens, in sequences of any "
        "length.",
        keeps="half-life in tokens",
        clock="tokens",
    ),
    Rule(
        name="half-life-run",
        coordinate="shrink",
        families=SHRINK_FAMILIES,
        # One over the steps of the run, of which the other quantities are parts.
        exponents={
            "steps": -1.0,
            "batch_size": 0.0,
            "dataset_size": 0.0,
            "epochs": 0.0,
            "tokens_per_example": 0.0,
        },
        source="Bergsma et al. 2025, arXiv 2505.13738, at fixed tokens per parameter",
        checked="secondary text",
        evidence="language models of 111M to 3.3B parameters; a run that grows alone "
        "follows about the square root instead",
        sentence="A weight forgets over a fixed share of the run.",
        keeps="half-life as a share of the run",
        clock="run",
    ),
    Rule(
        name="half-life-steps",
        coordinate="shrink",
        families=SHRINK_FAMILIES,
        # The lr is not in the shrink: what it loses, λ gains.
        exponents={"lr": 0.0},
        source="Chen et al. 2023 (Lion), guidance on lr and decay",
        checked="primary text",
        evidence="practice across optimizers; at 610M parameters tuning lr or λ "
        "reached about the same loss (arXiv 2505.13738)",
        sentence="When the lr goes down by a factor, λ goes up by it: their product "
        "is the strength of the decay.",
        keeps="lr · λ, that is the half-life in steps",
        clock="steps",
    ),
    Rule(
        name="wang-aitchison-width",
        coordinate="shrink",
        families=DECOUPLED_FAMILIES,
        exponents={"width": 0.0},
        source="Wang & Aitchison 2024, arXiv 2405.13698; Kosson et al. 2025, "
        "arXiv 2510.19093",
        checked="secondary text",
        measured_over=("width",),
        evidence="LLaMA-like models, width 128 to 2,048, and ResNets",
        sentence="If a wider network gets a smaller lr, λ rises by as much.",
        keeps="lr · λ over width",
    ),
    Rule(
        name="power-lines-batch",
        coordinate="shrink",
        families=DECOUPLED_FAMILIES,
        # The batch is counted in tokens, as the authors do: B/(lr·λ·D) stays.
        exponents={"tokens_per_step": 1.0},
        source="Bergsma et al. 2025, arXiv 2505.13738",
        checked="secondary text",
        measured_over=("batch_size", "tokens_per_step"),
        evidence="610M parameters, batches of 63 to 2,016 sequences, below the "
        "critical batch",
        sentence="At a fixed lr, λ grows with the batch.",
        keeps="half-life in tokens",
    ),
    Rule(
        name="power-lines",
        coordinate="shrink",
        families=DECOUPLED_FAMILIES,
        # τ = B/(lr·λ·D) = 1.08·(D/P)^-0.527, so lr·λ ∝ B·D^-0.473·P^-0.527, with the
        # batch B in tokens, as D is.
        exponents={"tokens_per_step": 1.0, "tokens": -0.473, "weights": -0.527},
        source="Bergsma et al. 2025, arXiv 2505.13738",
        checked="secondary text",
        measured_over=(
            "batch_size",
            "dataset_size",
            "epochs",
            "steps",
            "tokens_per_step",
            "tokens",
            "width",
            "depth",
            "weights",
        ),
        evidence="language models of 111M to 3.3B parameters under muP, lr linear to 0",
        sentence="The best memory in tokens is near the geometric mean of parameters "
        "and tokens.",
        keeps="memory / √(parameters · tokens), nearly",
    ),
    Rule(
        name="sde-sqrt",
        coordinate="shrink",
        families=DECOUPLED_FAMILIES,
        # Both by the square root of the batch, so their product by the batch.
        exponents={"batch_size": 1.0},
        lr_exponents={"batch_size": 0.5},
        source="Complete(d)P 2025, arXiv 2512.22382; Malladi et al. 2022, "
        "arXiv 2205.10287",
        checked="secondary text",
        measured_over=("batch_size",),
        evidence="language models from 50M parameters, an eighth to four times the "
        "batch",
        sentence="Adam's lr and λ both grow with the square root of the batch.",
        keeps="half-life in examples, and the size of the weights",
    ),
    Rule(
        name="linear-lr",
        coordinate="penalty",
        families=(SGD.name,),
        # Where the lr multiplies the decay, it is the same statement.
        decoupled_optimizers=("SGD", "SGDW"),
        exponents={"batch_size": 0.0},
        lr_exponents={"batch_size": 1.0},
        source="Goyal et al. 2017, arXiv 1706.02677, sections 2.1 and 5.1",
        checked="primary text",
        measured_over=("batch_size",),
        evidence="ImageNet, batches of 256 to 8,192, one λ of 0.0001",
        sentence="SGD's lr grows with the batch and λ stays.",
        keeps="half-life in examples, and the size of the weights",
    ),
    Rule(
        name="completep",
        coordinate="shrink",
        families=DECOUPLED_FAMILIES,
        # lr/width times λ·width.
        exponents={"width": 0.0, "depth": 0.0},
        lr_exponents={"width": -1.0},
        source="CompleteP 2025, arXiv 2505.01618, at α = 1",
        checked="primary text",
        measured_over=("width", "depth"),
        evidence="language models up to 1.5B parameters, 2 to 128 layers",
        sentence="Hidden layers get lr / width and λ · width, at any depth.",
        keeps="lr · λ over width and depth",
    ),
    Rule(
        name="completed-p",
        coordinate="shrink",
        families=DECOUPLED_FAMILIES,
        # Width and depth as CompleteP; lr and λ by the square root of the batch; over a
        # longer run the lr by 1/√D, and lr · λ as a fixed share of the run follows.
        exponents={
            "width": 0.0,
            "depth": 0.0,
            "tokens_per_step": 1.0,
            "tokens": -1.0,
        },
        lr_exponents={"width": -1.0, "tokens_per_step": 0.5, "tokens": -0.5},
        source="Complete(d)P 2025, arXiv 2512.22382, width, depth, batch and length "
        "together",
        checked="secondary text",
        measured_over=(
            "width",
            "depth",
            "batch_size",
            "dataset_size",
            "epochs",
            "steps",
            "tokens_per_step",
            "tokens",
        ),
        evidence="language models from 50M to 7.2B parameters",
        sentence="Hidden layers get lr / width and λ · width; both grow with the "
        "square root of the batch and fall with that of the length.",
        keeps="half-life as a share of the run, over width and depth",
    ),
    Rule(
        name="fan",
        coordinate="shrink",
        families=DECOUPLED_FAMILIES,
        # lr/width times λ·√width.
        exponents={"width": -0.5},
        lr_exponents={"width": -1.0},
        source="Fan et al. 2025, arXiv 2510.15262",
        checked="primary text",
        measured_over=("width",),
        evidence="LLaMA-like models",
        sentence="With an lr ∝ 1/width, λ grows with the square root of the width.",
        keeps="top singular value of a layer",
    ),
    Rule(
        name="qiu",
        coordinate="shrink",
        families=DECOUPLED_FAMILIES,
        exponents={"width": -1.0},
        source="Qiu et al. 2025, arXiv 2512.05620",
        checked="primary text",
        measured_over=("width",),
        evidence="190M to 1.4B parameters, data growing with them (compute-optimal)",
        sentence="Decay that does not go through the lr falls with the width.",
        keeps="half-life per width",
    ),
    Rule(
        name="nanochat-width",
        coordinate="shrink",
        families=DECOUPLED_FAMILIES,
        exponents={"width": -2.0},
        source="nanochat, log of 10 January 2026",
        checked="primary text",
        measured_over=("width",),
        evidence="four sizes at fixed tokens per parameter, depth tied to width; "
        "fitted exponent -1.97",
        sentence="The best decay fell with the square of the width.",
        keeps="half-life per width²",
    ),
    Rule(
        name="nanochat",
        coordinate="shrink",
        families=DECOUPLED_FAMILIES,
        # √(B/B_ref) · D_ref/D, and the lr √(B/B_ref), with B in tokens.
        exponents={"tokens_per_step": 1.0, "tokens": -1.0},
        lr_exponents={"tokens_per_step": 0.5},
        source="nanochat, base_train.py",
        checked="primary text",
        evidence="in use, taken over from theory",
        sentence="lr and λ grow with the square root of the batch, and λ falls as the "
        "tokens of the run grow.",
        keeps="half-life as a share of the run",
    ),
)

_BY_NAME = {rule.name: rule for rule in RULES}


def resolve_rule(name: str) -> Rule:
    """Return the rule of a name.

    Raises:
        UnknownNameError: If there is none; the nearest names are offered.

    Example:
        >>> resolve_rule("bengio-map").coordinate
        'penalty'

    """
    if name not in _BY_NAME:
        raise UnknownNameError(
            "rule", name, nearest_names(name, _BY_NAME), "See: dwindle rules."
        )
    return _BY_NAME[name]


def predict(
    rule: Rule | str, *, family: str, before: Scale, after: Scale
) -> Prediction:
    """Predict how λ moves when the scale changes, by one rule.

    A penalty rule multiplies λ by Π (after/before)^exponent. A shrink rule multiplies
    the shrink per step by that product, and λ by the product divided by the ratio of
    the learning rates, since lr · λ is the shrink.

    Args:
        rule: A rule, or its name.
        family: Update family of the knob, for example ``"coupled-sgd"`` (SGD with L2)
            or ``"decoupled"`` (AdamW).
        before: Quantities of scale, any of width, depth, weights, batch_size,
            dataset_size, epochs, steps, lr, tokens_per_example, tokens_per_step and
            tokens (of the run); each above 0.
        after: The same, after the change. A quantity that stands on neither side is
            taken as unchanged.

    Returns:
        A prediction; its factor is None where the rule does not apply.

    Raises:
        UnknownNameError: If there is no such rule.
        RangeError: If a quantity is not above 0.

    Example:
        >>> small, large = (
        ...     {"batch_size": 256, "lr": 1.0},
        ...     {"batch_size": 512, "lr": 1.0},
        ... )
        >>> predict(  # doctest: +ELLIPSIS
        ...     "power-lines-batch", family="decoupled", before=small, after=large
        ... )
        Prediction(factor=2.0, why_not='', shrink_factor=2.0, silent_on=(), ...)
        >>> predict("fan", family="decoupled", before=small, after=large).why_not
        'it says nothing about batch_size'

    """
    record = resolve_rule(rule) if isinstance(rule, str) else rule
    return predict_change(record, family=family, before=before, after=after)


def rules() -> tuple[Rule, ...]:
    """Return every published rule that dwindle knows.

    Example:
        >>> [rule.name for rule in rules() if rule.exponents.get("weights")]
        ['question-layer-mean', 'power-lines']

    """
    return RULES
