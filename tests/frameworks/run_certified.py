"""Every optimizer of other libraries is certified, or refused; the page lists which."""

import inspect
import os
from importlib import import_module
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import pytest
import torch
from frameworks.certified_libraries import DISTRIBUTIONS, builds, timm
from pytorch import certified_torch
from pytorch.certified import section

PAGE = Path(__file__).parents[2] / "docs" / "certified.md"
BUILDS = [*builds()]
TITLE = """# Certified optimizers

What a `DecayController` was seen to hold. Each optimizer played every scenario of
`dwindle.testing.check_controller` (lr schedules, warm-up from 0, groups, accumulation,
skipped steps, resumption, gradients) on a CPU, and the decay of a weight with zero
gradient was the expected one, to 1e-6 in float32 and 1e-12 in float64.

- **native**: its own `weight_decay` is set before each step (that of SGD where the step
  has no momentum; where it has, the weights are multiplied).
- **multiply**: its `weight_decay` is set to 0 and the weights are multiplied after each
  step.
- **refused**: a controller raises an error with the reason, and changes nothing.

`make test-frameworks` checks this page, and writes it with `WRITE_VERIFIED=1`.
"""
PASSED = []


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.filterwarnings("default")  # other people's libraries may be deprecated
@pytest.mark.parametrize("build", BUILDS, ids=str)
def test_an_optimizer_is_held_as_written(build):
    """Held as in the table, every scenario passes; or refused as in the table."""
    build.check()
    PASSED.append(build)


def test_every_optimizer_of_timm_has_its_line():
    """A name that timm gains has no certificate until it has a line here."""
    named = {build.name for build in BUILDS if build.library == "timm"}
    assert named == {f"timm.{name}" for name in timm().list_optimizers()}


@pytest.mark.parametrize("library", ["optimi", "lion_pytorch", "schedulefree"])
def test_every_class_of_a_small_library_has_its_line(library):
    """A class that such a library gains has no certificate until it has a line here."""
    found = {
        f"{library}.{name}"
        for name, kind in vars(import_module(library)).items()
        if inspect.isclass(kind) and issubclass(kind, torch.optim.Optimizer)
    }
    assert found == {build.name for build in BUILDS if build.library == library}


def test_the_page_is_this_run():
    """The checked-in page holds what passed just now, and what make test runs."""
    sections = [
        section(_titled(library), each)
        for library, each in groupby(PASSED, lambda build: build.library)
    ]
    ours = section(_titled("torch"), certified_torch.builds())
    text = "\n".join([TITLE, ours, *sections])
    if os.environ.get("WRITE_VERIFIED"):
        PAGE.write_text(text, "utf-8")
    assert PAGE.read_text("utf-8") == text, (
        "WRITE_VERIFIED=1 make test-frameworks writes what passed"
    )


def _titled(library):
    """Name and version; a local version, such as +cpu, is the same source."""
    name = DISTRIBUTIONS.get(library, library)
    return f"{name} {version(name).partition('+')[0]}"
