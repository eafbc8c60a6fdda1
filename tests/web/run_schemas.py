"""The JSON Schemas of the manual, as another library than ours reads them."""

import json

import pytest
from docs.test_schemas import LINES, folder_of_lines, printed, tables_of_files
from jsonschema import Draft202012Validator
from web.run_page import MANUAL

__all__ = ["folder_of_lines"]


@pytest.fixture(scope="module")
def schemas():
    """Each published schema by its name."""
    files = (MANUAL / "schemas").glob("*.json")
    return {path.stem: json.loads(path.read_text("utf-8")) for path in files}


def faults_of(schemas, name, document):
    """What a schema has against a document, with the place."""
    found = Draft202012Validator(schemas[name]).iter_errors(document)
    return [f"{name} {list(each.path)}: {each.message[:200]}" for each in found]


def test_each_is_a_schema(schemas):
    """All of them name the draft that they are written in, and are valid there."""
    assert {*LINES, "tune"} <= set(schemas)
    for schema in schemas.values():
        assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
        Draft202012Validator.check_schema(schema)


@pytest.mark.usefixtures("_folder")
def test_real_outputs_are_valid(schemas, capsys):
    """What commands print is; without any one of its members it is not."""
    faults = []
    for name, lines in LINES.items():
        for line in lines:
            document = json.loads(printed(line, capsys)[0])
            faults += faults_of(schemas, name, document)
            for member in document if isinstance(document, dict) else ():
                rest = {key: document[key] for key in document if key != member}
                if not faults_of(schemas, name, rest):
                    faults.append(f"{line}: {member} may be missing")
    assert not faults, "\n".join(faults)


def test_files_are_valid(schemas):
    """So are the TOML files of the manual and of our studies; another key is not."""
    faults = []
    for tables in tables_of_files():
        (kind,) = {name.removesuffix("-file") for name in schemas} & set(tables)
        name = f"{kind}-file"
        faults += faults_of(schemas, name, tables)
        more = tables | {kind: {**tables[kind], "wd": 0.1}}
        if not faults_of(schemas, name, more):
            faults.append(f"{name}: a key that none reads is accepted")
    assert not faults, "\n".join(faults)
