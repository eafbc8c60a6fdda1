"""Records become what JSON can hold, whatever stands in them."""

import json
import math
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from dwindle.plain import to_plain

NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner)
    ),
)


@given(NESTED)
def test_whatever_is_nested_comes_back_from_json(value):
    """JSON holds it exactly, with lists for tuples and null for what is not finite."""
    plain = to_plain(value)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert to_plain(plain) == plain


def test_a_record_is_its_fields_or_the_names_that_were_chosen():
    """Fields in their order, records in records too, or what is named."""

    @dataclass(frozen=True)
    class Inner:
        kept: float

    @dataclass(frozen=True)
    class Outer:
        inner: Inner
        many: tuple[Inner, ...]
        rates: dict[str, float]

        @property
        def count(self):
            return len(self.many)

    outer = Outer(Inner(0.5), (Inner(math.nan),), {"steps": math.inf})
    assert to_plain(outer) == {
        "inner": {"kept": 0.5},
        "many": [{"kept": None}],
        "rates": {"steps": None},
    }
    assert list(to_plain(outer, "count", "inner")) == ["count", "inner"]
