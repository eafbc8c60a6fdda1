"""Decays of papers: the question and its answer, priors, timescales, AdamW."""

from dwindle.decay.knob import Knob

_FULL_L2 = "coefficient of the sum of squares"
_COEFFICIENT = "coefficient of half the sum of squares"

_QUESTION = "the question (Cross Validated)"
_ANSWER = "the answer to the question (Cross Validated)"
_BENGIO = "Bengio 2012, arXiv 1206.5533"
_LOSHCHILOV = "Loshchilov & Hutter 2019, arXiv 1711.05101"

PAPER_KNOBS = (
    Knob(
        name="question.l2",
        symbol="l2",
        formula="mean loss + l2·Σw²",
        unit=_FULL_L2,
        penalty="without-half",
        source=_QUESTION,
        note="its gradient is 2·l2·w",
    ),
    Knob(
        name="question.l2:layer-mean",
        symbol="l2",
        formula="mean loss + Σ_j l2/(L·n_j·n_{j+1})·Σw²",
        unit="coefficient before division by layers and units",
        penalty="without-half:layer-mean",
        source=_QUESTION,
        note="another penalty for every layer; needs the units",
    ),
    Knob(
        name="question.l2:global-mean",
        symbol="l2",
        formula="mean loss + l2/(number of weights)·Σw²",
        unit="coefficient before division by the number of weights",
        penalty="without-half:global-mean",
        source=_QUESTION,
        note="one divisor for all layers; needs the units",
    ),
    Knob(
        name="answer.decay",
        symbol="decay",
        formula="gradient + decay·w",
        unit=_COEFFICIENT,
        penalty="canonical",
        source=_ANSWER,
        note="half of the question's: that one's gradient has a factor 2",
    ),
    Knob(
        name="answer.batch-sum",
        symbol="l2",
        formula="Σ of the losses of a minibatch of B + l2·Σw²",
        unit=_FULL_L2,
        penalty="batch-sum",
        source=_ANSWER,
        note="the answer's reading of Bengio: B times the question's",
    ),
    Knob(
        name="bengio2012.l2",
        symbol="l2",
        formula="Σ of all N losses + l2·Σw², of which a minibatch of B takes B/N",
        unit=_FULL_L2,
        penalty="data-sum",
        source=_BENGIO,
        note="N times the question's",
    ),
    Knob(
        name="gaussian-prior.sigma",
        symbol="σ",
        formula="prior of a weight: normal with standard deviation σ",
        unit="standard deviation",
        penalty="prior",
        source="the negative logarithm of a normal density",
        note="the loss must be a negative log-likelihood",
    ),
    Knob(
        name="neal1996.omega",
        symbol="ω",
        formula="prior of a weight: normal with standard deviation ω/√fan_in",
        unit="standard deviation times √fan_in",
        penalty="prior:fan-in",
        source="Neal 1996, Bayesian Learning for Neural Networks",
        note="another penalty for every fan-in; needs the units",
    ),
    Knob(
        name="loshchilov2019.lambda",
        symbol="λ_LH",
        formula="w ← w − m_t·λ_LH·w with m_t the schedule's multiplier",
        unit="shrink per step",
        family="schedule-only",
        source=f"{_LOSHCHILOV}, algorithm 2",
        note="not multiplied by the lr: AdamW libraries do that",
    ),
    Knob(
        name="loshchilov2019.lambda-norm",
        symbol="λ_norm",
        formula="w ← w − m_t·λ_norm·√(B/(N·epochs))·w, the root being 1/√steps",
        unit="shrink per step · √steps",
        family="schedule-only",
        scale="/√steps",
        source=f"{_LOSHCHILOV}, appendix B.1",
        note="they found 0.025 to 0.05 best on CIFAR-10 and ImageNet32",
    ),
    Knob(
        name="mackay1992.alpha",
        symbol="α",
        formula="Σ of all N losses + (α/2)·Σw²",
        unit="precision of the prior, 1/σ²",
        penalty="half-data-sum",
        source="MacKay 1992, doi 10.1162/neco.1992.4.3.448",
        note="the loss is a negative log-likelihood; one α per class of weights. The λ "
        "of a mean loss + λ/(2m)·Σw² over m examples, in Nielsen's book and in Ng's "
        "courses, is the same number",
        aliases=("nielsen2015.lambda", "ng.lambda"),
    ),
    Knob(
        name="wang-aitchison2024.tau-epoch",
        symbol="τ_epoch",
        formula="AdamW averages its updates over τ_epoch = 1/(η·λ·steps per epoch)",
        unit="epochs until 1/e is left, at the peak lr",
        clock="epochs",
        timescale=True,
        source="Wang & Aitchison 2024, arXiv 2405.13698",
        note="the timescale of an exponential moving average (EMA) of updates; ln 2 of "
        "it is nearly the half-life in epochs",
    ),
    Knob(
        name="bergsma2025.tau",
        symbol="τ",
        formula="AdamW averages its updates over τ = 1/(η·λ·steps of the run)",
        unit="share of the run until 1/e is left, at the peak lr",
        clock="run",
        timescale=True,
        source="Bergsma et al. 2025, Power Lines, arXiv 2505.13738",
        note="the timescale of an exponential moving average (EMA) of updates; ln 2 of "
        "it is nearly the half-life as a share of the run",
    ),
)
