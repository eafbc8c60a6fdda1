"""The table of checks: which function finds which codes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dwindle.audit.findings import Finding
from dwindle.pytorch.checks import (
    of_keys,
    of_layers,
    of_normalized,
    of_options,
    of_parameters,
    of_penalties,
    of_rates,
    of_reach,
    of_schedulers,
)
from dwindle.pytorch.checks.facts import Facts


@dataclass(frozen=True)
class Check:
    """Codes, and the function that finds them in the facts of a program."""

    codes: tuple[str, ...]
    find: Callable[[Facts], Iterator[Finding]]


_SIZES = ("DW008", "DW009", "DW010", "DW011", "DW012", "DW017", "DW023", "DW024")

CHECKS = (
    Check(("DW001",), of_parameters.decayed_biases),
    Check(("DW002",), of_parameters.decayed_norms),
    Check(("DW003",), of_parameters.decayed_embeddings),
    Check(("DW004",), of_parameters.in_no_group),
    Check(("DW005",), of_parameters.in_two_groups),
    Check(("DW006",), of_parameters.tied_by_storage),
    Check(("DW007",), of_penalties.penalty_and_decay),
    Check(("DW008",), of_penalties.penalty_through_adaptive),
    Check((*_SIZES, "DW026"), of_rates.sizes),
    Check(("DW013",), of_rates.second_decay),
    Check(("DW014",), of_rates.stretched_by_layer),
    Check(("DW015",), of_layers.idle_rows),
    Check(("DW015",), of_layers.idle_layers),
    Check(("DW016",), of_normalized.size_divided_out),
    Check(("DW018",), of_options.scale_that_nothing_applies),
    Check(("DW019",), of_options.promise_not_kept),
    Check(("DW020",), of_options.numbers_as_text),
    Check(("DW021",), of_parameters.nothing_decays),
    Check(("DW022",), of_parameters.frozen_that_decays),
    Check(("DW027",), of_options.knob_without_effect),
    Check(("DW028",), of_keys.keys_that_nobody_reads),
    Check(("DW040",), of_reach.weights_out_of_reach),
    Check(("DW041",), of_keys.eps_like_a_decay),
    Check(("DW029",), of_schedulers.of_another_optimizer),
    Check(("DW025",), of_rates.without_half_life),
)
