"""Settings files for the tests of this folder."""

import json

import pytest


@pytest.fixture
def write(tmp_path):
    """Write settings as YAML (a text) or JSON (a mapping), and return the path."""

    def _write(settings, name="args"):
        is_text = isinstance(settings, str)
        path = tmp_path / f"{name}.{'yaml' if is_text else 'json'}"
        path.write_text(settings if is_text else json.dumps(settings))
        return str(path)

    return _write
