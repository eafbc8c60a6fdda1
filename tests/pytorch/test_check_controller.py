"""Every optimizer of torch is certified, or refused with its reason."""

from pathlib import Path

import pytest
import torch
from pytorch.certified import section
from pytorch.certified_torch import LIBRARY, OUTCOMES, WHY, builds, classes

PAGE = Path(__file__).parents[2] / "docs" / "certified.md"
BUILDS = [*builds()] if set(OUTCOMES) == set(classes()) else []
# One for each way to be held or refused; the others at full size. AdamW and faulty
# Adams have their certificates in test_certification_kit, kernels and an lr that is a
# tensor go their paths in test_controller_kernels.
QUICK = {
    "torch.optim.ASGD",
    "torch.optim.LBFGS",
    "torch.optim.Muon",
    "torch.optim.SGD",
    "torch.optim.SparseAdam",
}


def test_every_class_has_its_line():
    """A class that torch gains has no certificate until it has a line here."""
    assert set(classes()) == set(OUTCOMES)
    assert {name for name, what in OUTCOMES.items() if what == "refused"} == set(WHY)


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(each, marks=[] if str(each) in QUICK else [pytest.mark.full])
        for each in BUILDS
    ],
    ids=str,
)
@pytest.mark.usefixtures("short")
def test_an_optimizer_of_torch_is_held_as_written(build):
    """Held as in the table, every scenario passes; or refused as in the table."""
    build.check()


def test_the_page_has_what_the_table_has():
    """Every way is listed; what is printed of torch is what is certified here."""
    ways = {build.options for build in BUILDS}
    assert {"", "fused=True", "foreach=True", "foreach=False", "maximize=True"} <= ways
    assert len({str(build) for build in BUILDS}) == len(BUILDS)
    assert {str(build) for build in BUILDS} >= QUICK
    assert section(f"{LIBRARY} {torch.__version__.partition('+')[0]}", BUILDS) in (
        PAGE.read_text("utf-8")
    )
