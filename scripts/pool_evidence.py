"""Pools the records of evidence, and writes what to expect in a new setting.

    python scripts/pool_evidence.py [--out FILE]

Reads src/dwindle/decay/evidence/records.toml, and writes posterior.json beside it: per
class of trainings and family of optimizers the mean and the covariance of the base
exponents, and how well the same model predicts the records of a source that it has not
seen, beside every published rule. A test holds the two files together.
"""

import argparse
import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from pooled import Floats, Measured, Pooled

from dwindle.decay.evidence.change import RANKED, claimed
from dwindle.decay.evidence.records import (
    BASES,
    FAMILIES_OF_EVIDENCE,
    KINDS,
    QUANTITIES,
    Z90,
    Evidence,
    Record,
    read_evidence,
)

OUT = (
    Path(__file__).parents[1]
    / "src"
    / "dwindle"
    / "decay"
    / "evidence"
    / "posterior.json"
)
# Before the records were pooled: half-way between the rules that people hold, and one
# unit of an exponent as the range of two standard deviations (design, section 9).
PRIOR_MEAN = np.array(
    [
        {"lr": 0.5, "batch": 1.0, "data": -0.5, "repetition": 0.5}.get(base, 0.0)
        for base in BASES
    ]
)
PRIOR_SD = 0.5
# The batch with an lr ∝ batch has exponents that agree far better than others do: .06
# to .12 between five settings that have both axes (the trial before this model), where
# all others spread by about .4. Both grow together in the limit of small steps, too.
SPREAD_SCALES = np.array([{"batch": 0.25}.get(base, 1.0) for base in BASES])
# Exponents have two digits that mean something.
DIGITS = 4
# Beyond either end of a 90 % range.
TAIL = 0.05
# Whose records a rule is judged without: its own authors'.
AUTHORS = {
    "loshchilov-hutter": "Loshchilov & Hutter",
    "half-life-epochs": "Wang & Aitchison",
    "wang-aitchison-width": "Wang & Aitchison",
    "power-lines": "Power Lines",
    "power-lines-batch": "Power Lines",
    "half-life-run": "Power Lines",
    "sde-sqrt": "Complete(d)P",
    "completed-p": "Complete(d)P",
    "linear-lr": "Goyal et al.",
    "completep": "CompleteP",
    "fan": "Fan et al.",
    "qiu": "Qiu et al.",
    "nanochat": "nanochat",
    "nanochat-width": "nanochat",
}
# Where a class has no record of an exponent: the rule that is best for it, or, of
# fine-tuning, that nobody measured, the one that asks for nothing.
DEFAULTS = {
    "single-pass": "power-lines",
    "many-epochs-normalized": "half-life-epochs",
    "many-epochs-plain": "unchanged",
    "fine-tuning": "unchanged",
}


def cell_key(record: Record) -> tuple[str, str]:
    """Return the cell of a record."""
    return record.kind_of_run, record.family


def as_measured(there: Evidence) -> Measured:
    """Return the records as arrays."""
    records = there.records
    sds = np.array([each.sd for each in records])
    noise = np.diag(sds**2)
    places = {(each.setting, each.quantity): at for at, each in enumerate(records)}
    for each in there.correlations:
        i, j = (places[each.setting, name] for name in (each.first, each.second))
        noise[i, j] = noise[j, i] = each.r * sds[i] * sds[j]
    return Measured(
        values=np.array([each.exponent for each in records]),
        forms=np.array([vector(each.form) for each in records]),
        noise=noise,
        cells=[cell_key(each) for each in records],
        settings=[each.setting for each in records],
        spreads=np.array([each.kind != "restated" for each in records]),
    )


def vector(form: object) -> Floats:
    """Return the weights of the base exponents in the order of ``BASES``."""
    return np.array([dict(form).get(base, 0.0) for base in BASES])  # type: ignore[call-overload]


def pooled(measured: Measured) -> Pooled:
    """Return the posterior, with the priors above."""
    return Pooled(measured, mean=PRIOR_MEAN, sd=PRIOR_SD, scales=SPREAD_SCALES)


def errors_of_rules(there: Evidence) -> dict[str, Floats]:
    """Return every rule's error in every record; NaN in those of its authors."""
    claims = {name: claimed(rule) for name, rule in RANKED.items()}
    return {
        name: np.array(
            [
                math.nan
                if AUTHORS.get(name) == each.source
                else each.exponent - vector(claims[name]) @ vector(each.form)
                for each in there.records
            ]
        )
        for name in RANKED
    }


def rms(errors: Floats) -> float:
    """Return the root mean square of what is known; infinite where nothing is."""
    known = errors[~np.isnan(errors)]
    return float(np.sqrt((known**2).mean())) if len(known) else math.inf


def best_rules(
    there: Evidence, kind: str, without: str | None = None
) -> tuple[str, ...]:
    """Return the rules by their error in a class; without records, of the default."""
    errors = errors_of_rules(there)
    known = np.array([each.source != without for each in there.records])
    here = known & np.array([each.kind_of_run == kind for each in there.records])
    if not here.any():
        return (DEFAULTS[kind],)

    def order(name: str) -> tuple[float, float]:
        # One record is met by many rules: of equals, the one that is better elsewhere.
        return round(rms(errors[name][here]), 9), rms(errors[name][known])

    return tuple(sorted(RANKED, key=order))


def spoken_of(there: Evidence, kind: str) -> np.ndarray:
    """Return which base exponents the records of a class inform."""
    forms = [vector(each.form) for each in there.records if each.kind_of_run == kind]
    return np.any(np.array([*forms, vector({})]) != 0, axis=0)


def cells(there: Evidence) -> list[dict[str, object]]:
    """Return the predictive distribution of every cell."""
    posterior = pooled(as_measured(there))
    found = []
    for kind in KINDS:
        silent = ~spoken_of(there, kind)
        default = vector(claimed(RANKED[DEFAULTS[kind]]))
        for family in FAMILIES_OF_EVIDENCE:
            mean, covariance = posterior.in_a_new_setting((kind, family)).moments()
            here = [each for each in there.records if cell_key(each) == (kind, family)]
            found.append(
                {
                    "kind_of_run": kind,
                    "family": family,
                    "mean": _rounded(np.where(silent, default, mean)),
                    "covariance": [_rounded(row) for row in covariance],
                    "records": _counts(e for e in here if e.kind != "restated"),
                    "restated": _counts(e for e in here if e.kind == "restated"),
                    "rules": best_rules(there, kind)[:8],
                }
            )
    return found


def _counts(records: Iterable[Record]) -> dict[str, int]:
    counts = Counter(each.quantity for each in records)
    return {name: counts[name] for name in QUANTITIES if counts[name]}


def _rounded(row: Floats) -> list[float]:
    return [round(float(each), DIGITS) for each in row]


def leave_sources_out(there: Evidence) -> dict[str, Floats]:
    """Predict every record from the records of all other sources.

    Returns:
        By name, one number per record: ``pooled`` and ``pick``, the errors of the
        pooled exponent and of the rule that is best for the class without that source;
        ``inside``, whether the 90 % range holds the record; ``log_density``; ``sd``.

    """
    measured = as_measured(there)
    errors = errors_of_rules(there)
    found = {
        name: np.full(len(there.records), math.nan)
        for name in ("pooled", "pick", "inside", "log_density", "sd")
    }
    for source in there.sources:
        out = np.array([each.source == source for each in there.records])
        posterior = pooled(measured.without(out))
        for cell in {cell_key(there.records[at]) for at in np.nonzero(out)[0]}:
            predicted = posterior.in_a_new_setting(cell)
            mean, covariance = predicted.moments()
            pick = best_rules(there, cell[0], without=source)[0]
            for at in np.nonzero(out)[0]:
                if cell_key(there.records[at]) != cell:
                    continue
                value, form = measured.values[at], measured.forms[at]
                noise = float(measured.noise[at, at])
                below = predicted.below(value, form, noise)
                found["pooled"][at] = value - mean @ form
                found["pick"][at] = errors[pick][at]
                found["inside"][at] = TAIL <= below <= 1 - TAIL
                found["log_density"][at] = predicted.log_density(value, form, noise)
                found["sd"][at] = np.sqrt(form @ covariance @ form)
    return found


def summary(there: Evidence) -> dict[str, object]:
    """Return how well each way of predicting did, over the records that there are."""
    from scipy.stats import beta

    left_out, n = leave_sources_out(there), len(there.records)
    hits = int(left_out["inside"].sum())
    # Clopper and Pearson 1934.
    low = beta.ppf(0.025, hits, n - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, n - hits) if hits < n else 1.0
    single = {name: rms(each) for name, each in errors_of_rules(there).items()}
    return {
        "records": n,
        "sources": len({each.source for each in there.records}),
        "covered": _short(hits / n),
        "covered_low": _short(low),
        "covered_high": _short(high),
        "log_density": _short(float(left_out["log_density"].mean())),
        "median_range": _short(float(np.median(2 * Z90 * left_out["sd"]))),
        "rms": _short(rms(left_out["pooled"])),
        "rms_of_pick": _short(rms(left_out["pick"])),
        "rms_of_rules": {
            name: _short(error)
            for name, error in sorted(single.items(), key=lambda pair: pair[1])
        },
    }


def _short(value: float) -> float:
    return round(float(value), 3)


def errors_by_class(there: Evidence) -> dict[str, dict[str, float]]:
    """Return every rule's error over the records of each class that has some."""
    errors = errors_of_rules(there)
    found = {}
    for kind in KINDS:
        here = np.array([each.kind_of_run == kind for each in there.records])
        known = {name: rms(each[here]) for name, each in errors.items()}
        found[kind] = {
            name: _short(known[name])
            for name in best_rules(there, kind)
            if math.isfinite(known[name])
        }
    return found


def only_measured(there: Evidence) -> Evidence:
    """Return the evidence without the rules that were only restated."""
    kept = tuple(each for each in there.records if each.kind != "restated")
    pairs = {(each.setting, each.quantity) for each in kept}
    return Evidence(
        {each.source: there.sources[each.source] for each in kept},
        kept,
        tuple(
            each
            for each in there.correlations
            if {(each.setting, each.first), (each.setting, each.second)} <= pairs
        ),
    )


def many_epochs_as_one(there: Evidence) -> Evidence:
    """Return the evidence with normalized and plain networks in one class."""
    merged = {"many-epochs-plain": "many-epochs-normalized"}
    kinds = [merged.get(each.kind_of_run, each.kind_of_run) for each in there.records]
    records = tuple(
        replace(each, kind_of_run=kind)  # type: ignore[arg-type] # keys of KINDS
        for each, kind in zip(there.records, kinds, strict=True)
    )
    return replace(there, records=records)


def computed() -> dict[str, object]:
    """Return all that posterior.json holds."""
    there = read_evidence()
    between, within = pooled(as_measured(there)).spreads()
    kinds = Counter(each.kind for each in there.records)
    return {
        "written_by": "scripts/pool_evidence.py",
        "bases": BASES,
        "records": dict(kinds),
        "spread_between_cells": _short(between),
        "spread_within_a_cell": _short(within),
        "cells": cells(there),
        "rms_of_rules_by_class": errors_by_class(there),
        "leave_one_source_out": {
            "all": summary(there),
            "measured": summary(only_measured(there)),
        },
        # Whether the split into normalized and plain networks earns its place.
        "leave_one_source_out_in_one_class": summary(many_epochs_as_one(there)),
    }


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT)
    text = json.dumps(computed(), indent=1, ensure_ascii=False)
    parser.parse_args().out.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
