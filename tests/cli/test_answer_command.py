"""dwindle answer: claims and studies become one document, one page and one verdict."""

import html
import io
import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from dwindle.answer import studies, whole
from dwindle.answer.bengio import check_bengio
from dwindle.answer.factor_two import check_factor_two
from dwindle.cli.main import main
from dwindle.findings.build import findings_of
from dwindle.findings.conclusion import conclude
from dwindle.findings.model import Answer, Claim
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


def two_claims() -> Iterator[tuple[str, Claim]]:
    yield "the factor 2", check_factor_two()
    yield "Bengio's share", check_bengio()


@dataclass(frozen=True)
class Run:
    """What one call said, and where it left its files."""

    folder: Path
    out: str
    err: str


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Run]]:
    """Answers of seconds: tiny networks in this process, two claims, one folder."""
    folder = tmp_path_factory.mktemp("answer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(studies, "QUICK", {"small.db": SMALL})
        patch.setattr(whole, "check_claims", two_claims)
        patch.setattr(backends, "Processes", lambda *_, **__: nullcontext(Inline()))

        def run(*words: str) -> Run:
            out, err = io.StringIO(), io.StringIO()
            with redirect_stdout(out), redirect_stderr(err):
                code = main(["answer", "--quick", "--out", str(folder), *words])
            assert code == 0
            return Run(folder, out.getvalue(), err.getvalue())

        yield run


@pytest.fixture(scope="module")
def first(call: Callable[..., Run]) -> Run:
    return call("--json")


def test_the_document_has_claims_and_studies_as_documented(first: Run) -> None:
    """Every claim with its six fields, every study in the schema of dwindle report."""
    answered = json.loads(first.out)
    assert [claim["id"] for claim in answered["claims"]] == ["factor-two", "bengio"]
    assert all(set(claim) >= CLAIM_FIELDS for claim in answered["claims"])
    (study,) = answered["studies"]
    (axis,) = study["axes"]
    assert [cell["value"] for cell in axis["cells"]] == [48, 96, 192]
    assert study["trials"]["ok"] >= 3 * 3 * 8
    # Of the claims' own cells, a study this small can tell nothing: one sentence.
    assert answered["headline"].startswith(("Yes", "No", "Undecided"))


def test_page_and_store_lie_in_the_folder(first: Run) -> None:
    """The page is written beside the stores, with the headline in it."""
    study = findings_of(read_study(first.folder / "small.db"))
    answered = conclude(Answer(claims=(), studies=(study,), seconds=0.0))
    page = html.unescape((first.folder / "report.html").read_text())
    assert answered.headline in page
    assert "<code>dwindle answer " in page
    assert read_study(first.folder / "small.db").complete


def test_the_same_command_again_trains_nothing_and_says_the_same(
    call: Callable[..., Run], first: Run
) -> None:
    """A finished answer is read from its store, and people read it as tables."""
    before = read_study(first.folder / "small.db").rows
    again = call()
    assert read_study(first.folder / "small.db").rows == before
    headline = json.loads(first.out)["headline"]
    assert headline in " ".join(again.out.split())
    assert "dataset size" in again.out
    assert str(first.folder / "report.html") in again.err


def test_the_full_answer_asks_what_it_should() -> None:
    """SGD and AdamW over six quantities of scale, the asker's proposal over width."""
    six = {"width", "depth", "batch_size", "dataset_size", "epochs", "lr"}
    asked = {
        (spec.optimizer.name, spec.normalization): {axis.axis for axis in spec.axes}
        for spec in studies.FULL.values()
    }
    assert asked == {
        ("sgd", "none"): six,
        ("adamw", "none"): six,
        ("sgd", "layer-mean"): {"width"},
    }
    assert all(spec.points == 13 for spec in studies.FULL.values())
    assert all(spec.seeds >= 5 for spec in studies.FULL.values())
