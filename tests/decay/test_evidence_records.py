"""The records of measured exponents: whole, from named sources, with sane errors."""

from dwindle.decay.evidence.records import BASES, KINDS, QUANTITIES, read_evidence

# What a record may claim: seeds that share one split understate an own study's error,
# and a restated rule has no curve that was seen (evidence.md in the design notes).
LEAST_SD = {"measured": 0.035, "restated": 0.2, "theory": 0.1}
LEAST_OWN_SD = 0.1


def test_every_record_can_be_used():
    """A record names known things, and its interval holds its exponent."""
    there = read_evidence()
    wrong = []
    for each in there.records:
        least = LEAST_SD[each.kind]
        is_own = there.sources[each.source].citation.startswith("our own")
        least = max(least, LEAST_OWN_SD) if is_own else least
        holds = (
            each.quantity in QUANTITIES
            and each.family in ("adaptive", "sgd")
            and each.kind_of_run in KINDS
            and each.tuned in ("joint", "axis")
            and each.metric in ("loss", "error")
            and each.read in ("primary text", "secondary text", "from memory")
            and each.low < each.exponent < each.high
            and each.sd >= least - 1e-3  # the ends are written with three digits
            and each.factor > 1
            and each.setting
        )
        if not holds:
            wrong.append(each)
    assert not wrong
    assert set(there.sources) == {each.source for each in there.records}


def test_correlations_are_of_records_that_exist():
    """Errors that go together belong to two records of one setting, and are below 1."""
    there = read_evidence()
    known = {(each.setting, each.quantity) for each in there.records}
    for each in there.correlations:
        assert {(each.setting, each.first), (each.setting, each.second)} <= known
        assert abs(each.r) < 1


def test_a_quantity_is_a_sum_of_base_exponents():
    """Every form is over the base exponents, and every base exponent is measured."""
    used = {base for each in QUANTITIES.values() for base in each.form}
    assert used == set(BASES)
    measured = {base for each in read_evidence().records for base in each.form}
    assert measured == set(BASES)
