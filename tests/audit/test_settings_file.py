"""Files of settings: read safely; whatever is in them, an answer or words."""

import json
import sys

import pytest

from dwindle.audit.settings_file import is_settings_file, read_settings
from dwindle.errors import AuditTargetError, MissingLibraryError

MANY = "a0: &a0 {k: 1}\n" + "".join(
    f"a{i}: &a{i} {{<<: [{','.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 12)
)
BROKEN = {
    "a key twice": ("a.json", '{"lr": 1, "lr": 2}', "the key 'lr' stands twice"),
    "a key twice, inside": ("a.json", '{"x": {"y": 1, "y": 2}}', "'y' stands twice"),
    "a list": ("a.json", "[1]", "one thing of type list instead of names and values"),
    "no JSON": ("a.json", "{", "a mistake in it"),
    "deep": ("a.json", "[" * 100_000, "nested too deep"),
    "a long number": ("a.json", '{"a": ' + "1" * 10_000 + "}", "a mistake in it"),
    "large": ("a.json", " " * 300_000, "more than 262,144 bytes"),
    "a YAML key twice": ("a.yaml", "lr: 1\nlr: 2", "the key 'lr' stands twice"),
    "twice as text": ("a.yaml", "1: 1\n'1': 2", "the key '1' stands twice"),
    "no YAML": ("a.yml", "a: [", "a mistake in it: while parsing"),
    "two documents": ("a.yaml", "a: 1\n---\nb: 2", "a mistake in it"),
    "nothing": (
        "a.yaml",
        "",
        "nothing (the file is empty, or null) instead of names and values",
    ),
    "code": (
        "a.yaml",
        "!!python/object/apply:os.system ['exit 1']",
        "could not determine a constructor",
    ),
    "an odd key": ("a.yaml", "? [1]\n: 2", "a mistake in it"),
    "no date": ("a.yaml", "a: 2021-99-99", "a mistake in it"),
    "a bomb": ("a.yaml", MANY, "more than 10,000 names"),
    "deep YAML": ("a.yaml", "[" * 3000, "nested too deep"),
}


def written(tmp_path, name, text):
    """A file with a text in it."""
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


@pytest.mark.parametrize(("name", "text", "told"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_refused_with_words(name, text, told, tmp_path):
    """Whatever is wrong with a file, the error says what, and what to write."""
    with pytest.raises(AuditTargetError, match="be TrainingArguments") as caught:
        read_settings(written(tmp_path, name, text))
    assert told in str(caught.value)
    assert "to_json_string" in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    """A binary file is told to be no text."""
    path = written(tmp_path, "a.json", b"\xff\xfe\x00")
    with pytest.raises(AuditTargetError, match="bytes that are no UTF-8 text"):
        read_settings(path)


@pytest.mark.parametrize("path", ["absent.json", "zero\0.json", "."])
def test_a_file_that_cannot_be_read_is_told(path, tmp_path, monkeypatch):
    """An absent file, an impossible name and a folder are refused with words."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AuditTargetError, match="must be a readable file"):
        read_settings(path)


def test_both_formats_give_the_same(tmp_path):
    """JSON and YAML of the same settings are read alike, a byte order mark or not."""
    settings = {"weight_decay": 0.1, "optim": "adamw_torch", "max_steps": 10}
    as_json = written(
        tmp_path, "a.json", b"\xef\xbb\xbf" + json.dumps(settings).encode()
    )
    lines = "".join(f"{name}: {value}\n" for name, value in settings.items())
    as_yaml = written(tmp_path, "a.yml", lines)
    assert read_settings(as_json) == read_settings(as_yaml) == settings


def test_merges_of_yaml_may_repeat_a_key(tmp_path):
    """A merged key that is written again is meant so: the written one counts."""
    text = "a: &a {x: 1, y: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: *b, x: 3}\n"
    read = read_settings(written(tmp_path, "a.yaml", text))
    assert read["b"] == {"x": 1, "y": 2}
    assert read["c"] == {"x": 3, "y": 2}


def test_without_pyyaml_the_install_line_is_told(tmp_path, monkeypatch):
    """A YAML file without PyYAML is an error that says what to install."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingLibraryError, match=r"pip install 'dwindle\[yaml\]'"):
        read_settings(written(tmp_path, "a.yaml", "a: 1"))


def test_files_are_known_by_their_names():
    """.json, .yaml and .yml are files; a function is not."""
    names = ("a.json", "b/c.YAML", "d.yml", "train:make", "train.py", "json")
    assert [name for name in names if is_settings_file(name)] == list(names[:3])
