"""How groups print: folded, escaped, printed once; their texts stand in one table."""

import pickle
import re

import torch
from rich.console import Console
from torch import nn

from dwindle.pytorch import decay_groups


def stack():
    model = nn.ModuleDict({"blocks": nn.ModuleList(nn.Linear(2, 2) for _ in range(12))})
    model["norm"] = nn.LayerNorm(2)
    model["norm"].bias.requires_grad_(requires_grad=False)
    return model


TABLE = """\
ModuleDict: 12 of 26 tensors decay, 48 of 76 numbers (63.2 %)

group 0 decays · 12 tensors (48 numbers) · weight_decay 0.1 · lr 0.5
  blocks.0–11.weight  ×12  2×2  weight of a Linear

group 1 does not decay · 13 tensors (26 numbers) · lr 0.5
  blocks.0–11.bias  ×12  2  bias of a Linear
  norm.weight            2  weight of a LayerNorm

in no group: 1 tensor (2 numbers)
  norm.bias  2  frozen"""


def test_the_table_shows_what_went_where_and_why():
    """Twelve blocks are one line; each group has its decay; the frozen come last."""
    assert repr(decay_groups(stack(), weight_decay=0.1, lr=0.5)) == TABLE


def test_tied_names_several_shapes_scales_and_scalars_are_shown():
    """A tied parameter has both names, a folded line its shapes, a group its factor."""
    model = nn.ModuleDict({"wte": nn.Embedding(5, 2), "head": nn.Linear(2, 5)})
    model["head"].weight = model["wte"].weight
    model["mlp"] = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
    model["head"].temperature = nn.Parameter(torch.ones(()))
    lines = repr(decay_groups(model, normalization="global-mean")).splitlines()
    assert "decay_scale 0.05556" in lines[2]  # one of 18 numbers
    assert lines[3].split("  ")[1:] == ["mlp.0–1.weight", "×2", "2 shapes", WHY]
    assert any(line.startswith("  wte.weight = head.weight") for line in lines)
    assert any("one number" in line for line in lines if "temperature" in line)


WHY = "weight of a Linear"


def test_explain_prints_the_table_and_nothing_prints_it_twice(capsys, monkeypatch):
    """explain=True prints in the first process of a launch alone."""
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.delenv("RANK", raising=False)
    decay_groups(stack(), weight_decay=0.1, lr=0.5)
    assert not capsys.readouterr().out
    decay_groups(stack(), weight_decay=0.1, lr=0.5, explain=True)
    printed = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in printed] == TABLE.splitlines()
    monkeypatch.setenv("RANK", "1")
    decay_groups(stack(), explain=True)
    assert not capsys.readouterr().out


def test_names_are_shown_as_they_are():
    """A name in brackets is no markup."""
    console = Console(record=True, width=100, color_system="truecolor", file=None)
    with console.capture() as captured:
        console.print(decay_groups(nn.ModuleDict({"[red]x[/red]": nn.Linear(2, 2)})))
    assert "[red]x[/red].weight" in captured.get().replace("\x1b[32m", "")
    assert "\x1b[32m" in captured.get()
    html = decay_groups(nn.Linear(2, 2))._repr_html_()
    heads = re.findall(r"<th[^>]*>(\w+)</th>", html)
    assert heads == ["parameter", "shape", "why"] * 2  # of one tensor there is no count


def test_groups_travel():
    """A pickled copy has the same groups and rows, of one and the same parameters."""
    groups = decay_groups(nn.Linear(2, 2), weight_decay=0.1)
    there = pickle.loads(pickle.dumps(groups))
    assert repr(there.rows) == repr(groups.rows)
    assert there.rows[0].held.parameter is there[0]["params"][0]
    assert [group["weight_decay"] for group in there] == [0.1, 0.0]
