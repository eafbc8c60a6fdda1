"""The published JSON Schemas are those of what the commands print and read."""

import json
import shutil
import tomllib

import pytest
from architecture.source import ROOT
from cli.lines import run
from docs.blocks import blocks_of, pages
from docs_schemas import DOCUMENTS, FILES
from pydantic import ValidationError

import dwindle

FACTS = "--lr 1e-3 --batch-size 128 --dataset-size 50000 --epochs 20"
CURVE = (
    "--knob torch.optim.SGD --low 1e-4 --high 1 --metric loss --trainings 9 --json "
    "-- awk -f examples/find_curve.awk -v weight_decay={weight_decay} -v seed={seed} "
    "-v steps=20"
)
# Schema: lines that print such a document.
LINES = {
    "explain": (
        f"explain torch.AdamW=0.1 {FACTS} --schedule cosine",
        "explain keras.L2=1e-4",
        f"explain torch.SGD=5e-4 --momentum 0.9 {FACTS}",
    ),
    "convert": (
        "convert keras.L2=1e-4 --to torch.SGD",
        "convert question.l2:layer-mean=1e-4 --to torch.SGD --units 8,16,2",
    ),
    "convert-all": (f"convert torch.AdamW=0.1 --to all {FACTS}",),
    "rescale": (
        "rescale torch.AdamW=0.1 --lr 1e-3 --batch-size 128:512",
        "rescale keras.L2=1e-4 --width 64:128",
    ),
    "suggest": (f"suggest torch.AdamW {FACTS}",),
    "fit": ("fit examples/results.csv", "fit examples/results.csv --where width=64"),
    "audit": (
        f"audit examples.audited_program:program {FACTS}",
        "audit args.json --dataset-size 50000",
        "audit args.json args.json --dataset-size 50000:100000",
    ),
    "audit-codes": ("audit --explain all", "audit --explain DW008"),
    "report": ("report old.db",),
    "evidence": ("evidence", "evidence batch"),
    "rules": ("rules", "rules neal"),
    "knobs": ("knobs", "knobs keras"),
    "find": (f"find {CURVE}",),
    "error": ("explain no.such=1", "convert torch.Adam=1e-4 --to half-life"),
}


@pytest.fixture(name="_folder")
def folder_of_lines(tmp_path, monkeypatch):
    """A folder with what the lines ask for."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copy(ROOT / "tests/data/store_schema_2.db", tmp_path / "old.db")
    arguments = {"learning_rate": 2e-5, "weight_decay": 0.01, "num_train_epochs": 3}
    (tmp_path / "args.json").write_text(json.dumps(arguments))
    monkeypatch.chdir(tmp_path)


def printed(line, capsys):
    """What a line prints as JSON, and what stands on stderr."""
    _, out, err = run(line if "--json" in line else f"{line} --json", capsys)
    return out, err


def tables_of_files():
    """What stands in the TOML files of the manual, and in those of our studies."""
    texts = [
        block.text
        for page in pages()
        for block in blocks_of(page)
        if block.language == "toml"
    ]
    texts += [path.read_text("utf-8") for path in (ROOT / "studies").glob("*.toml")]
    return list(map(tomllib.loads, texts))


@pytest.mark.usefixtures("_folder")
def test_every_document_is_of_its_schema(capsys):
    """Real outputs have each member of their schema, and no other."""
    assert {*LINES, "tune"} == set(DOCUMENTS)
    faults = []
    for name, lines in LINES.items():
        for line in lines:
            out, err = printed(line, capsys)
            try:
                DOCUMENTS[name].model_validate_json(out)
            except ValueError as error:
                faults.append(f"{line}: {error} {err}")
    assert not faults, "\n".join(faults)


def test_a_law_is_of_its_schema():
    """What tune and predict print: the value of a target, from small scales."""

    def train(weight_decay, seed, width):
        return 1 + (weight_decay * width / 3.2 - 1 - seed / 1000) ** 2

    tuned = dwindle.tune(
        train,
        proxies={"width": [64, 128]},
        target={"width": 512},
        knob="torch.optim.AdamW",
        low=1e-3,
        high=1,
    )
    assert tuned.value is not None
    assert DOCUMENTS["tune"].model_validate_json(json.dumps(tuned.as_dict()))


def test_every_file_is_of_its_schema():
    """Files of the manual and of our studies are; a key that none reads is refused."""
    kinds = {name.removesuffix("-file"): model for name, model in FILES.items()}
    seen = set()
    for tables in tables_of_files():
        (kind,) = set(kinds) & set(tables)
        kinds[kind].model_validate(tables)
        with pytest.raises(ValidationError) as raised:
            kinds[kind].model_validate(tables | {kind: {**tables[kind], "wd": 0.1}})
        assert [each["loc"] for each in raised.value.errors()] == [(kind, "wd")]
        seen.add(kind)
    assert seen == set(kinds)


def test_a_schema_of_a_file_lists_names_and_short_forms():
    """An editor may complete the optimizer's name, and takes a list for an axis."""
    parts = FILES["study-file"].model_json_schema()["$defs"]
    assert "adamw" in parts["OptimizerTable"]["properties"]["name"]["enum"]
    width = parts["AxesTable"]["properties"]["width"]
    assert {"type": "array"} in width["anyOf"]
