"""Examples in docstrings run; those of the manual are run by tests/docs."""

import doctest
import importlib
import pkgutil

import pytest

import dwindle

# Their libraries are not in this environment: tests/frameworks runs them, and
# tests/integrations has what they say where the library is missing.
FOREIGN = {
    f"dwindle.integrations.{name}"
    for name in ("keras", "keras_layers", "lightning", "optax", "transformers")
}
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(dwindle.__path__, "dwindle.")
    if module.name not in FOREIGN
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    """Every example in a docstring prints what the docstring says."""
    failures, _ = doctest.testmod(importlib.import_module(name))
    assert failures == 0
