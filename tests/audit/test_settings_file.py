"""Files of settings: every format gives the same; what is refused: tests/texts."""

import json
import sys

import pytest

from dwindle.audit.settings_audit import audit_training_arguments
from dwindle.audit.settings_file import is_settings_file, line_for, read_settings
from dwindle.errors import MissingLibraryError


def written(tmp_path, name, text):
    """A file with a text in it."""
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_every_format_gives_the_same(tmp_path):
    """JSON, YAML and TOML are read alike, a byte order mark or not, W&B's as well."""
    settings = {"weight_decay": 0.1, "optim": "adamw_torch", "max_steps": 10}
    wrapped = {name: {"desc": None, "value": each} for name, each in settings.items()}
    texts = {
        "a.json": b"\xef\xbb\xbf" + json.dumps(settings).encode(),
        "a.yml": "".join(f"{name}: {value}\n" for name, value in settings.items()),
        "a.toml": "".join(f"{at} = {json.dumps(to)}\n" for at, to in settings.items()),
        "w.yaml": json.dumps(wrapped | {"wandb_version": 1, "_wandb": {"value": 3}}),
    }
    for name, text in texts.items():
        assert read_settings(written(tmp_path, name, text)) == settings, name


def test_merges_of_yaml_may_repeat_a_key(tmp_path):
    """A merged key that is written again is meant so: the written one counts."""
    text = "a: &a {x: 1, y: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: *b, x: 3}\n"
    read = read_settings(written(tmp_path, "a.yaml", text))
    assert read["b"] == {"x": 1, "y": 2}
    assert read["c"] == {"x": 3, "y": 2}


def test_without_pyyaml_the_error_names_what_to_install(tmp_path, monkeypatch):
    """A YAML file without PyYAML is an error that names the extra."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingLibraryError) as raised:
        read_settings(written(tmp_path, "a.yaml", "a: 1"))
    assert raised.value.extra == "yaml"


def test_files_are_known_by_their_names():
    """.json, .yaml and .yml are files; a function is not."""
    names = ("a.json", "b/c.YAML", "d.yml", "e.toml", "train:make", "train.py", "json")
    assert [name for name in names if is_settings_file(name)] == list(names[:4])


def test_a_line_is_read_as_the_value_that_was_meant(tmp_path):
    """Numbers, texts, switches and tables are the same to the reader of the file."""
    values = (1e-5, 5e-5, 0.1, 3.0, 0.0, 3, "sgd", True, {"a": 1})
    for name in ("a.yaml", "a.json", "a.toml"):
        # TOML has no table in a line that JSON would write.
        for value in values[: -1 if name == "a.toml" else None]:
            line = line_for(name, "key", value)
            text = f"{{{line}}}" if name == "a.json" else line
            assert read_settings(written(tmp_path, name, text)) == {"key": value}


def test_a_decay_is_placed_among_recipes_of_its_kind(tmp_path):
    """A fine-tune of a file stands among fine-tunes, where its run is known."""
    settings = {"weight_decay": 0.1, "learning_rate": 2e-5, "max_steps": 1000}
    path = written(tmp_path, "a.json", json.dumps(settings))
    audit = audit_training_arguments(path)
    # A linear schedule: half of 2e-5 · 0.1 on average, from the first of 1,000 steps.
    assert audit.among.e_folds == pytest.approx(1e-3, rel=1e-2)
    assert audit.as_dict()["among"]["title"].startswith("fine-tunes")
    assert audit.among.text in " ".join(str(audit).split())
    without = {"weight_decay": 0.1, "learning_rate": 2e-5}
    path = written(tmp_path, "b.json", json.dumps(without))
    assert audit_training_arguments(path).as_dict()["among"] is None
