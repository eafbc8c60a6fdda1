"""dwindle answer: claims and studies become one document, one page and one verdict."""

import html
from contextlib import nullcontext
from dataclasses import replace

import pytest
from cli.lines import as_json, run

from dwindle.answer import studies, whole
from dwindle.answer.bengio import check_bengio
from dwindle.answer.factor_two import check_factor_two
from dwindle.findings.build import findings_of
from dwindle.findings.conclusion import conclude
from dwindle.findings.model import Answer
from dwindle.store.spec import AxisSpec
from dwindle.store.store import read_study
from dwindle.study import backends
from dwindle.study.backends import Inline

CLAIM_FIELDS = {"id", "claim", "whose", "how", "number", "verdict"}
SMALL = replace(
    studies.SGD,
    seeds=3,
    points=7,
    base=replace(studies.BASE, width=8, dataset_size=96, epochs=6),
    axes=(AxisSpec(axis="dataset_size", values=(48, 96, 192)),),
)


def two_claims():
    yield "the factor 2", check_factor_two()
    yield "Bengio's share", check_bengio()


@pytest.fixture
def small(monkeypatch):
    """Answers of seconds: tiny networks in this process, two claims."""
    monkeypatch.setattr(studies, "QUICK", {"small.db": SMALL})
    monkeypatch.setattr(whole, "check_claims", two_claims)
    monkeypatch.setattr(backends, "Processes", lambda *_, **__: nullcontext(Inline()))


@pytest.mark.usefixtures("small")
def test_an_answer_has_claims_and_studies_and_is_read_again(tmp_path, capsys):
    """JSON as documented, a page beside the store; again it trains nothing."""
    line = f"answer --quick --out {tmp_path}"
    answered = as_json(line, capsys)
    assert [claim["id"] for claim in answered["claims"]] == ["factor-two", "bengio"]
    assert all(set(claim) >= CLAIM_FIELDS for claim in answered["claims"])
    (found,) = answered["studies"]
    (axis,) = found["axes"]
    assert [cell["value"] for cell in axis["cells"]] == [48, 96, 192]
    assert found["trials"]["ok"] >= 3 * 3 * 8
    # A study this small decides nothing about the claims: one sentence.
    assert answered["headline"].startswith(("Yes", "No", "Undecided"))
    stored, page = read_study(tmp_path / "small.db"), tmp_path / "report.html"
    assert stored.complete
    answer = Answer(claims=(), studies=(findings_of(stored),), seconds=0.0)
    written = html.unescape(page.read_text())
    assert conclude(answer).headline in written
    assert "<code>dwindle answer " in written
    # People read it as tables.
    code, out, err = run(line, capsys)
    assert code == 0
    assert read_study(tmp_path / "small.db").rows == stored.rows
    assert answered["headline"] in " ".join(out.split())
    assert "dataset size" in out
    assert str(page) in err


def test_the_full_answer_varies_what_it_should() -> None:
    """SGD and AdamW over six quantities of scale, the asker's proposal over width."""
    six = {"width", "depth", "batch_size", "dataset_size", "epochs", "lr"}
    varied = {
        (spec.optimizer.name, spec.normalization): {axis.axis for axis in spec.axes}
        for spec in studies.FULL.values()
    }
    assert varied == {
        ("sgd", "none"): six,
        ("adamw", "none"): six,
        ("sgd", "layer-mean"): {"width"},
    }
    assert all(spec.points == 13 for spec in studies.FULL.values())
    assert all(spec.seeds >= 5 for spec in studies.FULL.values())
