"""Refusals of torch's rooms: the texts of ``refusals.toml``, filled in last."""

from dwindle.decay.refusals import refusals_beside

refused = refusals_beside(__file__)
