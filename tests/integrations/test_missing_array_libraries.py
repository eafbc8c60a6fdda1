"""What the integrations of optax and Keras say where the library is not installed."""

import importlib
import sys

import pytest

from dwindle.errors import MissingLibraryError

# module: the library that is blocked, and the extra that pip is asked for
NEEDED = {
    "optax": ("jax", "optax"),
    "keras": ("keras", "keras"),
    "keras_layers": ("keras", "keras"),
}


@pytest.mark.parametrize("name", NEEDED)
def test_an_absent_library_gives_its_install_line(name, monkeypatch):
    """Importing the module says what to install."""
    library, extra = NEEDED[name]
    monkeypatch.setitem(sys.modules, library, None)  # import finds it blocked
    monkeypatch.delitem(sys.modules, f"dwindle.integrations.{name}", raising=False)
    with pytest.raises(MissingLibraryError) as raised:
        importlib.import_module(f"dwindle.integrations.{name}")
    assert raised.value.extra == extra
