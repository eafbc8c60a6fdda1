"""The terminal: no number is cut, the conclusion comes last, nothing acts."""

import io
import re
from dataclasses import replace

import pytest
from report import hostile, synthetic
from rich.console import Console

from dwindle.findings.conclusion import conclude
from dwindle.findings.model import Answer, Findings
from dwindle.findings.verdict import ranked_rules, verdict_rows
from dwindle.report import tables
from dwindle.report.terminal import print_found, sparkline
from dwindle.wording import fixed

WIDTHS = (80, 100, 120, 160)
STEPS = conclude(synthetic.answer()).next_steps


def printed(shown: Answer | Findings, width: int = 100, *, color: bool = False) -> str:
    """What a terminal of this width shows."""
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
    )
    print_found(shown, console)
    return console.file.getvalue()


@pytest.mark.parametrize("width", WIDTHS)
def test_no_number_is_cut(width: int) -> None:
    """No line but a command to copy is wider than the terminal, none ends in '…'.

    Each measured exponent and each rule's numbers can be read.
    """
    printed_text = printed(synthetic.answer(), width)
    for line in (printed_text + printed(synthetic.findings(), width)).splitlines():
        assert line.rstrip() in STEPS or len(line.rstrip()) <= width
        assert "…" not in line
    for row in verdict_rows(synthetic.answer().studies):
        judged = [rule for rule in row.rules.values() if rule is not None]
        for number in (row.exponent, row.low, row.high, *(r.exponent for r in judged)):
            assert fixed(number) in printed_text
        assert all(f"loses {fixed(rule.regret, 3)}" in printed_text for rule in judged)


def test_the_answer_comes_first_and_the_next_step_last() -> None:
    """The answer, claims, studies, table, sentences, next step, each once."""
    printed_text = printed(synthetic.answer())
    conclusion = conclude(synthetic.answer())
    assert printed_text.count(conclusion.headline[:40]) == 1
    parts = [
        conclusion.headline[:40],
        synthetic.CLAIMS[0].claim,
        "Studies",
        "measured, and what each rule predicts",
        conclusion.sentences[0][:40],
        STEPS[-1],
    ]
    places = [printed_text.index(part) for part in parts]
    assert places == sorted(places)
    assert printed_text.rstrip().endswith(STEPS[-1])


def test_verdicts_have_sign_and_word_as_well_as_color() -> None:
    """Green, yellow and red add to the words; without color nothing is lost."""
    colored = printed(synthetic.answer(), color=True)
    for code, sign in (("32", "✓ holds"), ("33", "≈ holds"), ("31", "✗ does not")):
        assert re.search(rf"\x1b\[1;{code}m{sign}", colored)
    plain = printed(synthetic.answer())
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[\d;]*m", "", colored) == plain


def test_hostile_text_does_not_act() -> None:
    """No escape sequence, no markup, no direction override reaches the terminal."""
    printed_text = printed(hostile.answer(), 120) + printed(hostile.findings(), 120)
    for gone in ("\x1b", "\x00", "\x07", "\u202e", "\u2066", "evil.example\x07"):
        assert gone not in printed_text
    assert "[red]markup" in printed_text
    assert ":boom:" in printed_text


def test_rules_are_ranked_by_regret() -> None:
    """The cheapest rule comes first, rules without a number last."""
    axis = synthetic.axis("width")
    ranked = [rule.regret for rule in ranked_rules(axis)]
    assert ranked == sorted(ranked)
    unknown = replace(axis.rules[1], regret=None)
    shuffled = replace(axis, rules=(unknown, *axis.rules))
    assert ranked_rules(shuffled)[-1] is unknown


def test_sparkline_has_one_bar_per_decay() -> None:
    """Low loss is a low bar; a λ without any loss is a cross; λ = 0 is left out."""
    cell = synthetic.axis("width").cells[2]
    bars = sparkline(cell, ceiling=0.1)
    assert len(bars) == len(cell.decayed) == 13
    assert bars[-1] == "█"
    assert bars[6] == "▁"  # 1e-3, the best λ, is the seventh of 13 points
    lost = replace(
        cell,
        curve=tuple(
            replace(p, mean=None) if p.weight_decay > 0.05 else p for p in cell.curve
        ),
    )
    assert sparkline(lost, ceiling=0.1)[-1] == "×"
    lost = synthetic.unknown().axes[0].cells[0]
    assert {*sparkline(lost, ceiling=1.0)} == {"×"}
    # Sixty λ make 24 bars, and the dip of the curve is still the lowest of them.
    for place in (0, 31, 59):
        heights = [0.2 if i == place else 2.0 for i in range(60)]
        curve = tuple(
            replace(cell.curve[8], weight_decay=1.0 + i, mean=mean)
            for i, mean in enumerate(heights)
        )
        bars = sparkline(replace(cell, curve=curve), ceiling=0.1)
        assert (len(bars), bars[place * 24 // 60]) == (24, "▁")
        assert bars.count("█") == 23


@pytest.mark.parametrize("width", [56, 70, 80, 100])
def test_the_drawn_curve_is_the_first_to_go(width: int) -> None:
    """Numbers of a study of sixty λ are whole at any width; the curve makes room."""
    study = synthetic.findings(axes=("width",))
    axis = study.axes[0]
    cells = tuple(replace(cell, curve=cell.curve[1:-1] * 5) for cell in axis.cells)
    shown = replace(study, axes=(replace(axis, cells=cells),))
    table = re.split(r"width +best λ|rule", printed(shown, width))[1]
    assert "…" not in table
    assert ("loss over λ" in table) is (width >= 80)
    for cell in axis.cells:
        assert f"{cell.loss_without_decay:.3f}" in table


def test_an_axis_without_any_verdict_shows_no_table_of_doubts() -> None:
    """ "cannot tell" is printed once, with what would decide it, not once a rule."""
    blank = synthetic.changed(
        synthetic.axis("width"),
        rules=dict.fromkeys(("agrees", "regret", "regret_low", "regret_high")),
        why_null="only 1 of 5 cells can tell",
        would_tell="about 9 seeds instead of 5",
        **dict.fromkeys(("exponent", "low", "high", "unchanged")),
    )
    printed_text = printed(synthetic.study_over(blank))
    assert blank.would_tell in printed_text
    # In the sentence alone; ten rules would be ten more.
    assert printed_text.count("cannot tell") == 1


@pytest.mark.parametrize("width", WIDTHS)
def test_findings_that_know_nothing_are_printed(width: int) -> None:
    """Where every trial diverged, dashes and counts stand; no None, no nan."""
    printed_text = printed(synthetic.unknown(), width)
    assert all(part in printed_text for part in ("no exponent", "diverged"))
    assert not re.findall(r"\b(?:None|nan)\b", printed_text)
    empty = Answer(claims=(), studies=(), seconds=0.0)
    for bare in (empty, replace(synthetic.findings(), axes=())):
        assert "Nothing was varied" in printed(bare)


def test_what_trainings_are_is_counted_and_named() -> None:
    """Networks at chance have a column; each scale counts once; the split is named."""
    axis = synthetic.axis("width")
    zero, *others = axis.cells[0].curve
    points = (replace(zero, untrained=3), *others)
    axis = synthetic.changed(axis, first={"curve": points})
    trials = {"ok": 9, "untrained": 3, "diverged": 0, "error": 0}
    study = synthetic.study_over(axis, trials=trials, validation="one for all")
    printed_text = printed(study, 120)
    assert tables.at_chance(axis.cells[0]) == 3
    for part in ("chance", tables.trials_text(study), "Validation: one for all."):
        assert part in printed_text
    assert dict(tables.conditions_table(study).rows)["validation"] == "one for all"
    # Two axes of n values each share the base: 2n - 1 cells.
    two = synthetic.findings(axes=("width", "depth"))
    assert tables.count_cells(two) == sum(len(each.cells) for each in two.axes) - 1
