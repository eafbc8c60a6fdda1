"""Synthetic findings with believable curves: made from formulas, nothing was trained.

Every curve is a saturating left side and a steep right side around a best λ that moves
as a power of the axis value, so what a figure should show is known in advance.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from dwindle.findings.model import (
    Answer,
    AxisFindings,
    CellFindings,
    Claim,
    CurvePoint,
    Findings,
    RuleFindings,
)

BASE = {
    "width": 64.0,
    "depth": 2.0,
    "batch_size": 32.0,
    "dataset_size": 600.0,
    "epochs": 30.0,
    "lr": 0.05,
}
AXES = {
    "width": (16.0, 32.0, 64.0, 128.0, 256.0),
    "depth": (1.0, 2.0, 4.0),
    "batch_size": (8.0, 16.0, 32.0, 64.0, 128.0),
    "dataset_size": (150.0, 300.0, 600.0, 1200.0),
    "epochs": (10.0, 30.0, 90.0),
    "lr": (0.0125, 0.025, 0.05, 0.1),
}
TRUE = {
    "width": -0.15,
    "depth": -0.3,
    "batch_size": 0.1,
    "dataset_size": -0.85,
    "epochs": -0.4,
    "lr": -0.3,
}
# Exponents that the rules would have on each axis; an absent one is not applicable.
RULES: dict[str, dict[str, float]] = {
    "question-layer-mean": {"width": -1.83, "depth": -1.0},
    "answer": {"width": 0.0, "depth": 0.0, "batch_size": 0.0},
    "bengio-map": {"dataset_size": -1.0},
    "neal": {"width": 1.0, "dataset_size": -1.0},
    "half-life-epochs": {"batch_size": 1.0, "dataset_size": -1.0, "lr": -1.0},
    "linear-scaling": {"batch_size": 0.0, "lr": 0.0},
    "sqrt-sde": {"batch_size": 0.5, "lr": -0.5},
    "loshchilov-normalized": {"epochs": -0.5, "dataset_size": -0.5, "batch_size": 0.5},
    "constant-share-of-run": {"epochs": -1.0, "dataset_size": -1.0},
}
GRID = tuple(10 ** (-5 + i / 3) for i in range(13))


def excess(offset: float, gain: float) -> float:
    """Loss above the optimum, ``offset`` in ln λ: saturates left, steep right."""
    if offset < 0:
        return gain * (1 - math.exp(-((offset / 2.4) ** 2)))
    return gain * (math.expm1(0.62 * offset)) ** 2 * 0.8


def point(
    weight_decay: float, *, best: float, lowest: float, gain: float
) -> CurvePoint:
    """One λ of a curve; far above the best one, a seed diverges."""
    offset = math.log(weight_decay / best) if weight_decay else -math.inf
    wobble = 0.04 * gain * math.sin(9 * offset) if weight_decay else 0.0
    mean = min(lowest + excess(offset, gain) + wobble, 2.31)
    lost = 1 if offset > 4.5 else 0
    return CurvePoint(
        weight_decay=weight_decay,
        mean=mean,
        low=mean - 0.3 * gain,
        high=mean + 0.3 * gain,
        n=5 - lost,
        diverged=lost,
        train_loss=0.01 + 20 * weight_decay,
        penalty=weight_decay * 900 * best**0.1,
    )


def cell(axis: str, value: float, *, matters: bool = True) -> CellFindings:
    """One cell of an axis around the best λ that the true exponent gives."""
    ratio = value / BASE[axis]
    best = 3e-3 * ratio ** TRUE[axis]
    lowest = 0.19 * ratio**-0.2
    gain = (0.06 if matters else 0.002) * ratio**-0.1
    scale = {**BASE, axis: value, "weights": 50.0 * ratio, "steps": 570.0}
    return CellFindings(
        value=value,
        scale=scale,
        optimum=best,
        low=best / 1.7,
        high=best * 1.6,
        matters="yes" if matters else "no",
        why="" if matters else "decay does not matter here: less than 2 %",
        loss_at_optimum=lowest,
        loss_without_decay=lowest + gain,
        gain=gain,
        gain_low=0.5 * gain,
        gain_high=1.5 * gain,
        curve=tuple(
            point(each, best=best, lowest=lowest, gain=gain) for each in (0.0, *GRID)
        ),
    )


def rule(name: str, axis: str) -> RuleFindings:
    """A rule held against the true exponent of an axis."""
    exponent = 0.0 if name == "unchanged" else RULES[name].get(axis)
    if exponent is None:
        return RuleFindings(
            rule=name,
            applies=False,
            why_not=f"says nothing about {axis}",
            predictions=tuple(None for _ in AXES[axis]),
        )
    off = exponent - TRUE[axis]
    ratios = [math.log(value / BASE[axis]) for value in AXES[axis]]
    regret = sum(excess(off * ratio, 0.06) for ratio in ratios) / (len(ratios) - 1)
    return RuleFindings(
        rule=name,
        exponent=exponent,
        applies=True,
        agrees=abs(off) < 0.3 if abs(abs(off) - 0.3) > 0.05 else None,
        regret=regret,
        regret_low=0.6 * regret,
        regret_high=1.5 * regret,
        share_lost=regret / 0.06,
        predictions=tuple(3e-3 * math.exp(exponent * ratio) for ratio in ratios),
    )


def axis(name: str, *, flat_first: bool = False) -> AxisFindings:
    """One axis with its cells and every rule."""
    cells = tuple(
        cell(name, value, matters=not (flat_first and i == 0))
        for i, value in enumerate(AXES[name])
    )
    return AxisFindings(
        axis=name,
        policy="same epochs" if name != "epochs" else "same data",
        exponent=TRUE[name],
        low=TRUE[name] - 0.22,
        high=TRUE[name] + 0.19,
        why_null="",
        note="the first cell is left out: decay does not matter there"
        if flat_first
        else "",
        anchor=BASE[name],
        cells=cells,
        rules=tuple(rule(each, name) for each in RULES),
        unchanged=rule("unchanged", name),
    )


def changed(
    whole: AxisFindings,
    *,
    first: Mapping[str, object] | None = None,
    cells: Mapping[str, object] | None = None,
    rules: Mapping[str, object] | None = None,
    **fields: object,
) -> AxisFindings:
    """An axis with other fields: of its first cell, of all cells, of all rules."""
    shown = [replace(each, **cells or {}) for each in whole.cells]
    shown[0] = replace(shown[0], **first or {})
    judged = tuple(replace(each, **rules or {}) for each in whole.rules)
    return replace(whole, **{"cells": tuple(shown), "rules": judged} | fields)


def study_over(shown: AxisFindings, **fields: object) -> Findings:
    """A study of one axis."""
    return replace(findings(axes=(shown.axis,)), axes=(shown,), **fields)


def conditions(optimizer: str) -> dict[str, object]:
    """Conditions of a study, nested as a store gives them."""
    return {
        "engine_version": "1",
        "torch_version": "0.0-synthetic",
        "dtype": "float32",
        "device_type": "cpu",
        "problem": "digits-mlp",
        "optimizer": {"name": optimizer, "momentum": 0.9, "betas": [0.9, 0.999]},
        "normalization": "none",
        "machine": "synthetic",
    }


def findings(
    study: str = "synthetic sgd", optimizer: str = "sgd", axes: tuple[str, ...] = ()
) -> Findings:
    """A whole study; every axis unless some are named."""
    names = axes or tuple(AXES)
    return Findings(
        study=study,
        optimizer=optimizer,
        normalization="none",
        conditions=conditions(optimizer),
        axes=tuple(axis(name, flat_first=name == "width") for name in names),
        law={name: {"exponent": TRUE[name]} for name in names},
        trials={"ok": 1648, "diverged": 12, "error": 0},
        seconds=61.5,
        seeds=5,
        validation="every seed has its own validation split, of 597 samples",
        base={**BASE, "weights": 50.0, "steps": 570.0},
    )


CLAIMS = (
    Claim(
        id="1",
        claim="The gradient of the question's penalty is 2λw, the answer's is λw",
        whose="question and answer",
        how="autograd on random weights in float64, compared entry by entry",
        number="ratio 2.000000",
        verdict="holds with a correction",
        explanation="Both are right about their own λ; between them lies a factor 2.",
    ),
    Claim(
        id="2",
        claim="With λ = 0.001 a weight that the error does not care about decays by "
        "0.1 % per iteration",
        whose="answer",
        how="torch.optim.SGD in float64 with zero gradients, one step and many",
        number="0.01 % per step at lr 0.1; 0.1 % with momentum 0.9",
        verdict="holds with a correction",
        table=(
            ("lr", "momentum", "shrink per step", "half-life in steps"),
            ("1", "0", "0.1 %", "693"),
            ("0.1", "0", "0.01 %", "6931"),
            ("0.1", "0.9", "0.1 %", "693"),
        ),
    ),
    Claim(
        id="3",
        claim="The number of layers and units does not enter the decay of one weight",
        whose="answer",
        how="measured on networks of 12 shapes",
        number="the same to 1e-15 in all",
        verdict="holds",
    ),
    Claim(
        id="4",
        claim="Divide λ by the number of weights and the penalty is comparable",
        whose="question",
        how="decay of one weight, measured at width 16 to 256",
        number="falls 117-fold",
        verdict="does not hold",
        explanation="The larger the network, the less each weight decays.",
    ),
)


def answer() -> Answer:
    """A whole answer with two studies."""
    studies = (findings(), findings("synthetic adamw", "adamw", ("width",)))
    return Answer(claims=CLAIMS, studies=studies, seconds=142.0)


def empty_cell(value: float, scale: Mapping[str, float]) -> CellFindings:
    """A cell in which nothing is known."""
    none = dict.fromkeys(("mean", "low", "high", "train_loss", "penalty"))
    return CellFindings(
        value=value,
        scale=dict(scale),
        matters="cannot tell",
        why="fewer than three seeds",
        curve=(CurvePoint(weight_decay=1e-3, n=0, diverged=2, **none),),
    )


def unknown() -> Findings:
    """A study that knows nothing: every trial diverged, every number is None."""
    nothing = RuleFindings(rule="neal", applies=True, predictions=(None, None))
    blank = AxisFindings(
        axis="width",
        policy="same epochs",
        exponent=None,
        low=None,
        high=None,
        why_null="no cell has an optimum",
        note="",
        anchor=None,
        cells=(empty_cell(16.0, BASE), empty_cell(32.0, BASE)),
        rules=(nothing,),
    )
    return Findings(
        study="synthetic unknown",
        optimizer="adamw",
        normalization="layer-mean",
        conditions={},
        axes=(blank,),
        law={},
        trials={"ok": 0, "diverged": 4, "error": 0},
        seconds=0.0,
        seeds=2,
        complete=False,
    )
