"""Audits in two processes: DDP and FSDP2 are looked through."""

from pathlib import Path

import pytest
from pytorch.two_processes import seen_by_each

PROGRAM = Path(__file__).parent / "programs" / "audited_model.py"


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What each of two processes found, over loopback."""
    return seen_by_each(PROGRAM, tmp_path_factory.mktemp("audited"))


def test_the_plain_model_has_findings_of_many_kinds(seen):
    """Vectors and an embedding decay, rows lack gradients, a norm follows a weight."""
    codes = [each["code"] for each in seen[0]["plain"]["findings"]]
    assert codes == ["DW001", "DW002", "DW015", "DW003", "DW016"]


@pytest.mark.parametrize("wrapped", ["ddp", "fsdp"])
def test_a_wrapped_model_has_the_findings_of_the_model(seen, wrapped):
    """Codes, names, numbers, lines and the table are the same in every process."""
    for process in seen:
        plain, found = process["plain"], process[wrapped]
        assert found["groups"] == plain["groups"]
        assert without_rows(found["findings"]) == without_rows(plain["findings"])


def without_rows(findings):
    """Of a sharded embedding each process counts its own rows."""
    return [
        each | ({"evidence": "", "values": {}} if each["code"] == "DW015" else {})
        for each in findings
    ]


def test_an_optimizer_that_was_built_before_sharding_is_found(seen):
    """It holds tensors that the model no longer has, and none that it has."""
    for process in seen:
        found = process["sharded too late"]["findings"]
        assert [each["code"] for each in found] == ["DW004"]
        values = found[0]["values"]
        assert (values["lost"], values["trainable"], values["strangers"]) == (6, 6, 6)
