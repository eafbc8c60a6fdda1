"""Every line to write, pasted: it runs, mends its finding, and leaves others alone."""

import re

import pytest
import torch
from pytorch.planted_faults import FAULTS
from pytorch.planted_groups import PROGRAMS, RUN
from pytorch.planted_programs import Program
from torch import nn

from dwindle.pytorch.audit import audit
from dwindle.pytorch.checks.group import optimizers_of

BUILDERS = {str(fault): fault.build for fault in FAULTS} | PROGRAMS
LIKE_BIASES = {"bias", "norm", "vector"}
TOKENS = {"embedding", "token"}
# Which options a line may set, where its groups or parameters are concerned.
MAY_SET = {
    "DW008": {"weight_decay", "decoupled_weight_decay"},
    "DW013": {"weight_decay", "lambd"},
    "DW018": {"lr"},
    "DW020": {"weight_decay", "lr"},
    "DW028": {"weight_decay", "lr"},
    "DW041": {"eps"},
}
# They build another class, whose groups have other options of its own.
OF_ANOTHER_CLASS = {"DW019"}
# A controller takes the whole optimizer; a half-life is what these ask for.
HELD = "DecayController("
# What a line may bring to light: a decay of 0 is told, and numbers of a new rule too.
BROUGHT = {
    # Where nothing else decayed.
    "DW001": {"DW021"},
    "DW003": {"DW021"},
    "DW009": {"DW021", "DW040"},
    "DW008": {"DW017"},
}


def audited(program):
    return audit(
        program.model,
        program.optimizer,
        scheduler=program.scheduler,
        run=program.run,
        example=program.example,
    )


def found_in(program):
    """Return the findings, each with the line that it has where it is the only one."""
    there = audited(program)
    codes = dict.fromkeys(found.code for found in there.findings)
    return [found for code in codes for found in there.selected([code]).findings]


def pasted(line, program):
    """Run a line as its reader would, where the program is built."""
    called = "optimizers" if isinstance(program.optimizer, list) else "optimizer"
    names = {"torch": torch, "model": program.model, called: program.optimizer}
    exec(line, names)  # noqa: S102  the lines of our own findings
    same = names[called] is program.optimizer
    # A scheduler of torch is built behind a line that makes groups or sets an lr.
    is_before = "decay_groups" in line or '"lr"]' in line
    scheduler = program.scheduler if same and not is_before else None
    if program.scheduler is not None and scheduler is None:
        for group in names[called].param_groups:
            group.pop("initial_lr", None)
    return Program(
        names["model"], names[called], scheduler, program.run, program.example
    )


IGNORED = {"params", "param_names", "decay_scale", "initial_lr"}


def options(program):
    """Return (options, optimizer's class, group) of every parameter, by its name."""
    names = {id(each): name for name, each in program.model.named_parameters()}
    found, number = {}, 0
    for optimizer in optimizers_of(program.optimizer):
        for group in optimizer.param_groups:
            kept = {k: repr(v) for k, v in group.items() if k not in IGNORED}
            for each in group["params"]:
                if id(each) in names:
                    place = (kept, type(optimizer).__name__, number)
                    found.setdefault(names[id(each)], place)
            number += 1
    return found


def concerned(finding, program):
    """Return the names of parameters that a line may move, by its finding's place."""
    from dwindle.pytorch.parameters.roles import held_parameters

    roles = {held.name: held.role for held in held_parameters(program.model)}
    if finding.code in ("DW001", "DW002"):
        return {name for name, role in roles.items() if role in LIKE_BIASES}
    if finding.code in ("DW003", "DW015"):
        return {n for n, role in roles.items() if role in LIKE_BIASES | TOKENS}
    place = re.search(r"groups? ([\d, ]+)", finding.where)
    if place is None:
        return set(roles)
    numbers = {int(number) for number in place[1].strip(", ").split(",")}
    there = options(program)
    return {name for name, (*_, number) in there.items() if number in numbers}


def moved(before, after, *, another_class):
    """Return {name: options that changed} of every parameter that both have."""
    changes = {}
    for name, (old, kind, _) in before.items():
        new, new_kind, _ = after.get(name, (old, kind, 0))
        keys = old.keys() & new.keys() if another_class else old.keys() | new.keys()
        changed = {key for key in keys if old.get(key) != new.get(key)}
        if kind != new_kind and not another_class:
            changed.add("class")
        if changed:
            changes[name] = changed
    return changes


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_every_line_mends_its_finding_and_moves_nothing_else(build):
    """It runs; the finding is gone; no other parameter's option moved; nothing new."""
    wrong = []
    for at, first in enumerate(found_in(build())):
        program = build()
        finding = found_in(program)[at]
        if not finding.line:
            continue
        assert finding.code == first.code
        before, listed = options(program), {f.code for f in found_in(program)}
        may_move = concerned(finding, program)
        after = pasted(finding.line, program)
        # DW016 finds nothing wrong, and its line says what goes with another lr.
        told = [f for f in found_in(after) if f.code != "DW016"]
        changes = moved(
            before, options(after), another_class=finding.code in OF_ANOTHER_CLASS
        )
        if HELD in finding.line:
            changes = {}
        allowed = MAY_SET.get(finding.code, {"weight_decay"})
        same = [f for f in told if (f.code, f.where) == (finding.code, finding.where)]
        brought = BROUGHT.get(finding.code, set()) | {"DW014"}
        new = {f.code for f in told} - listed - brought
        out = {n: c for n, c in changes.items() if n not in may_move or c - allowed}
        if same or new or out:
            wrong.append((finding.code, finding.line, same, new, out))
    assert wrong == []


def all_pasted(program):
    """Run all lines of a report in their order, as its reader would."""
    lines = dict.fromkeys(found.line for found in audited(program).findings)
    for line in filter(None, lines):
        program = pasted(line, program)
    return program


def decay_of(program):
    return {
        name: there["weight_decay"] for name, (there, *_) in options(program).items()
    }


BY_LAYER = [1e-3 * 0.6 ** (7 - depth) for depth in range(8)]


def two_lrs():
    """Two layers whose decays and lrs differ; their biases decay."""
    net = nn.Sequential(nn.Linear(16, 32), nn.Linear(32, 10))
    groups = [
        {"params": net[0].parameters(), "lr": 1e-4},
        {"params": net[1].parameters(), "weight_decay": 1e-3},
    ]
    optimizer = torch.optim.Adam(groups, lr=1e-3, weight_decay=1e-4)
    return Program(net, optimizer, run=RUN)


def eight_layers(kind=torch.optim.AdamW):
    """An lr that falls by layers; the biases decay."""
    net = nn.Sequential(*[nn.Linear(8, 8) for _ in BY_LAYER])
    groups = [
        {"params": layer.parameters(), "lr": lr}
        for layer, lr in zip(net, BY_LAYER, strict=True)
    ]
    return Program(net, kind(groups, lr=1e-3, weight_decay=0.05), run=RUN)


def eight_layers_of_adam():
    """The same under the coupled decay of Adam."""
    return eight_layers(torch.optim.Adam)


SEVERAL = BUILDERS | {
    build.__name__: build for build in (two_lrs, eight_layers, eight_layers_of_adam)
}


@pytest.mark.parametrize("build", SEVERAL.values(), ids=SEVERAL)
def test_all_lines_in_their_order_do_what_each_asks(build):
    """A decay that one line sets is there at the end, and no other one is moved."""
    program = build()
    start, asked = decay_of(program), {}
    for finding in audited(program).findings:
        if finding.line and HELD not in finding.line:
            for name, number in decay_of(pasted(finding.line, build())).items():
                if number != start.get(name):
                    asked.setdefault(name, set()).add(number)
    if any(HELD in finding.line for finding in audited(build()).findings):
        return  # a controller takes all numbers over
    end = decay_of(all_pasted(build()))
    for name, number in end.items():
        # Biases and gains stop to decay, whatever number their group gets.
        wanted = asked.get(name) or {start[name]}
        assert number in ({"0.0"} if "0.0" in wanted else wanted), name


def test_a_line_behind_a_split_says_to_audit_again():
    """Its place counts the groups from before; alone it has its own line."""
    there = audited(eight_layers())
    (first, *_), last = there.findings, there.findings[-1]
    assert (first.code, last.code, last.line) == ("DW001", "DW014", "")
    assert "Audit again once the line under DW001 has run" in last.remedy
    assert "param_groups[7]" in there.selected(["DW014"]).findings[0].line
