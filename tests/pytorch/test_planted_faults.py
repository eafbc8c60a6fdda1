"""Planted faults are found, and every line to write runs, mends, and moves no more.

One audit finds what was planted, one more sees what its own line leaves. That each
line of each report does so alone is the slow form, marked ``full``.
"""

import pytest
import torch
from pytorch.planted_faults import FAULTS
from pytorch.planted_groups import PROGRAMS, RUN
from pytorch.planted_programs import Program
from torch import nn

from dwindle.audit.codes import CODES
from dwindle.pytorch.checks.group import optimizers_of
from dwindle.pytorch.parameters.roles import parameter_roles

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
# They build another class, whose groups have other options.
OF_ANOTHER_CLASS = {"DW019"}
# Their lines name parameters, and leave others of the groups alone.
BY_ROLE = {
    **dict.fromkeys(("DW001", "DW002"), LIKE_BIASES),
    **dict.fromkeys(("DW003", "DW015"), LIKE_BIASES | TOKENS),
}
# What a line may bring to light: a decay of 0 is found, and numbers of a new rule too.
BROUGHT = {
    # Where nothing else decayed.
    "DW001": {"DW021"},
    "DW003": {"DW021"},
    "DW009": {"DW021", "DW040"},
    "DW008": {"DW017"},
}
# Their remedy is no line that a test could run here.
WITHOUT_A_LINE = {"DW024", "DW026", "DW029"}
IGNORED = {"params", "param_names", "decay_scale", "initial_lr"}


def alone(there):
    """Return the findings, each with the line that it has where it is the only one."""
    codes = dict.fromkeys(found.code for found in there.findings)
    return [found for code in codes for found in there.selected([code]).findings]


def pasted(found, program):
    """Run a line as its reader would, where the program is built."""
    called = "optimizers" if isinstance(program.optimizer, list) else "optimizer"
    names = {"torch": torch, "model": program.model, called: program.optimizer}
    exec(found.line, names)  # noqa: S102  the lines of our own findings
    same = names[called] is program.optimizer
    # A scheduler of torch is built behind a line that makes groups or sets an lr.
    is_before = found.paste.regroups or found.code == "DW018"
    scheduler = program.scheduler if same and not is_before else None
    if program.scheduler is not None and scheduler is None:
        for group in names[called].param_groups:
            group.pop("initial_lr", None)
    return Program(
        names["model"], names[called], scheduler, program.run, program.example
    )


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


def concerned(found, program, before):
    """Return the names of parameters that a line may move, by its finding's place."""
    roles = {held.name: held.role for held in parameter_roles(program.model)}
    if found.code in BY_ROLE:
        return {name for name, role in roles.items() if role in BY_ROLE[found.code]}
    if "names" in found.values or "groups" not in found.values:
        return set(roles)
    groups = found.values["groups"]
    return {name for name, (*_, number) in before.items() if number in groups}


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


def out_of_place(found, program, before, after):
    """Return options that a line moved where it should not have."""
    if found.paste.holds:  # a controller takes the whole optimizer
        return {}
    may_move = concerned(found, program, before)
    allowed = MAY_SET.get(found.code, {"weight_decay"})
    other = found.code in OF_ANOTHER_CLASS
    changes = moved(before, options(after), another_class=other)
    return {n: c for n, c in changes.items() if n not in may_move or c - allowed}


def left_wrong(found, listed, left):
    """Return what is still found, or found anew, after a line has run."""
    # DW016 finds nothing wrong, and its line is for another lr.
    there = [each for each in left if each.code != "DW016"]
    same = {each.code for each in there if (each.code, each.where) == place(found)}
    brought = BROUGHT.get(found.code, set()) | {"DW014"}
    return same | {each.code for each in there} - listed - brought


def place(found):
    return found.code, found.where


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_planted_fault_is_found_alone_and_mended_by_its_line(fault):
    """Nothing else is an error or a warning; after the line nothing is."""
    program = fault.build()
    there = program.audited()
    serious = {each.code for each in there.findings if each.severity != "note"}
    is_note = CODES[fault.code].severity == "note"
    assert serious == (set() if is_note else {fault.code})
    assert there.exit_code == bool(serious)
    found = next(each for each in alone(there) if each.code == fault.code)
    if not found.line:
        assert is_note or fault.code in WITHOUT_A_LINE
        return
    before, listed = options(program), {each.code for each in there.findings}
    after = pasted(found, program)
    assert out_of_place(found, program, before, after) == {}
    left = after.audited().findings
    assert left_wrong(found, listed, left) == set()
    if not is_note and fault.code not in WITHOUT_A_LINE:
        assert [each for each in left if each.severity != "note"] == []


def decay_of(program):
    return {name: kept["weight_decay"] for name, (kept, *_) in options(program).items()}


BY_LAYER = [1e-3 * 0.4 ** (3 - depth) for depth in range(4)]


def two_lrs():
    """Two layers whose decays and lrs differ; their biases decay."""
    net = nn.Sequential(nn.Linear(16, 32), nn.Linear(32, 10))
    groups = [
        {"params": net[0].parameters(), "lr": 1e-4},
        {"params": net[1].parameters(), "weight_decay": 1e-3},
    ]
    optimizer = torch.optim.Adam(groups, lr=1e-3, weight_decay=1e-4)
    return Program(net, optimizer, run=RUN)


def by_layers(kind=torch.optim.AdamW):
    """An lr that falls by layers; the biases decay."""
    net = nn.Sequential(*[nn.Linear(8, 8) for _ in BY_LAYER])
    groups = [
        {"params": layer.parameters(), "lr": lr}
        for layer, lr in zip(net, BY_LAYER, strict=True)
    ]
    return Program(net, kind(groups, lr=1e-3, weight_decay=0.05), run=RUN)


def layers_of_adam():
    """The same under the coupled decay of Adam."""
    return by_layers(torch.optim.Adam)


REPORTS = PROGRAMS | {
    build.__name__: build for build in (two_lrs, by_layers, layers_of_adam)
}


def set_by_each_line(lines, build, start):
    """Return (decays that lines set, one by one; options moved out of their place)."""
    set_by_lines, wrong = {}, {}
    for found in lines:
        program = build()
        before = options(program)
        after = pasted(found, program)
        if out := out_of_place(found, program, before, after):
            wrong[found.code] = out
        for parameter, number in decay_of(after).items():
            if number != start.get(parameter):
                set_by_lines.setdefault(parameter, set()).add(number)
    return set_by_lines, wrong


BUILDERS = {str(fault): fault.build for fault in FAULTS} | REPORTS


@pytest.mark.parametrize(
    "reports",
    [REPORTS, pytest.param(BUILDERS, marks=pytest.mark.full)],
    ids=["groups", "all"],
)
def test_all_lines_of_a_report_in_their_order_do_what_each_does_alone(reports):
    """A decay that one line sets is there at the end, and no other one is moved."""
    wrong = {}
    for name, build in reports.items():
        program = build()
        found = {each.line: each for each in program.audited().findings if each.line}
        lines, start = list(found.values()), decay_of(program)
        set_by_lines, out = set_by_each_line(lines, build, start)
        wrong |= {(name, code): each for code, each in out.items()}
        if any(each.paste.holds for each in lines):
            continue  # a controller takes all numbers over
        for each in lines:
            program = pasted(each, program)
        for parameter, number in decay_of(program).items():
            # Biases and gains stop decaying, whichever number their group gets.
            wanted = set_by_lines.get(parameter) or {start[parameter]}
            if number not in ({"0.0"} if "0.0" in wanted else wanted):
                wrong[name, parameter] = number, wanted
    assert wrong == {}


def test_behind_a_split_the_remedy_is_to_audit_again():
    """Its place counts the groups from before; alone it has its own line."""
    there = by_layers().audited()
    (first, *_), last = there.findings, there.findings[-1]
    assert (first.code, last.code, last.line) == ("DW001", "DW014", "")
    assert (last.advice, last.values["above"]) == ("again", "DW001")
    (found,) = there.selected(["DW014"]).findings
    assert ("optimizer", 3, "weight_decay") in found.paste.sets


@pytest.mark.full
@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_every_line_mends_its_finding_and_moves_nothing_else(build):
    """Each line alone: the finding is gone, no other option moved, nothing is new."""
    there = build().audited()
    wrong, listed = [], {each.code for each in there.findings}
    for found in alone(there):
        if not found.line:
            continue
        program = build()
        before = options(program)
        after = pasted(found, program)
        out = out_of_place(found, program, before, after)
        left = left_wrong(found, listed, after.audited().findings)
        if out or left:
            wrong.append((found.code, found.line, out, left))
    assert wrong == []
