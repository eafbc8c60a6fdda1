"""dwindle evidence: records, what to expect, and what nobody measured."""

from cli.lines import as_json, error_of, run

from dwindle.decay.evidence.records import QUANTITIES, read_evidence


def test_everything_that_is_known_is_in_the_json(capsys):
    """The JSON has every record and source, what to expect, and how well that does."""
    there, found = read_evidence(), as_json("evidence", capsys)
    assert len(found["records"]) == len(there.records)
    assert found["sources"].keys() == there.sources.keys()
    assert {each["quantity"] for each in found["expected"]} == set(QUANTITIES)
    assert all(
        each["low"] < each["exponent"] < each["high"] for each in found["expected"]
    )
    assert found["leave_one_source_out"].keys() == {"all", "measured"}


def test_what_nobody_measured_has_no_measured_record(capsys):
    """A gap is a quantity in a class and family without a record that was measured."""
    found = as_json("evidence", capsys)
    measured = {
        (each["kind_of_run"], each["family"], each["quantity"])
        for each in found["records"]
        if each["kind"] != "restated"
    }
    gaps = {
        (each["kind_of_run"], each["family"], each["quantity"])
        for each in found["nobody_measured"]
    }
    assert gaps
    assert not gaps & measured
    asked = {
        (each["kind_of_run"], each["family"], each["quantity"])
        for each in found["expected"]
    }
    assert asked == gaps | (asked & measured)


def test_one_quantity_is_shown_record_by_record(capsys):
    """With a quantity, its records are printed with their sources; others are not."""
    found = as_json("evidence batch", capsys)
    assert {each["quantity"] for each in found["records"]} == {"batch"}
    shown = run("evidence batch", capsys)[1]
    assert [name for name in found["sources"] if name not in shown] == []
    assert run("evidence", capsys)[1].count("\n") > len(QUANTITIES)


def test_an_unknown_quantity_is_refused_with_the_nearest(capsys):
    """A word that is no quantity is refused, and the nearest are offered."""
    error = error_of("evidence epoch", capsys)
    assert "epochs" in error["facts"]["nearest"]
