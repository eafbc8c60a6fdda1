"""Where a loss stands in an output, and what is refused rather than guessed."""

import json
import math
import random
import time

import pytest

from dwindle.errors import UnknownNameError, UsageError
from dwindle.finding.metric import (
    Metric,
    Scanner,
    judged,
    names_with_numbers,
)
from dwindle.finding.output import Kept
from dwindle.finding.result_file import read_result_file, trainer_state_in

# What a training prints: (metric, output, loss); nan is a training that diverged.
READ = (
    ("val_loss", "val_loss: 0.31", 0.31),
    ("val_loss", "val_loss=0.31", 0.31),
    ("val_loss", "val_loss 0.31 acc .9", 0.31),
    ("acc", "val_loss 0.31 acc .9", 0.9),
    ("val_loss", '{"val_loss": 0.31, "acc": 1}', 0.31),
    ("val_loss", "{'val_loss': np.float64(0.31)}", 0.31),
    ("val_loss", "{'val_loss': tensor(0.31, device='cuda:0')}", 0.31),
    ("eval_loss", "{'eval_loss': '0.31', 'epoch': '3.0'}", 0.31),  # transformers 5
    ("val_loss", "val_loss: [0.31]", 0.31),
    ("val_loss", "│     val_loss      │    0.6931471824645996 │", 0.6931471824645996),
    ("val_loss", "| val_loss | 0.31 |", 0.31),
    ("val_loss", "val_loss -> 3e-05", 3e-5),
    ("val_loss", "val_loss = -1.5E+2", -150.0),
    ("val_loss", "val_loss: −2.5", -2.5),
    ("val_loss", "val_loss 0.31D-02", 0.0031),
    ("val_loss", "val_loss 1,234.5", 1234.5),
    ("val_loss", "val_loss: 0.31.", 0.31),
    ("val_acc", "val_acc: 93.1%", 93.1),
    ("val_loss", "val_loss=0.31,acc=0.9", 0.31),
    ("val_loss", "val_loss: 1\nval_loss: 0.31", 0.31),
    ("val_loss", "9%|#| 1/9 [val_loss=2.5]\r99%|##| 9/9 [00:01, val_loss=0.31]", 0.31),
    ("val_loss", "\x1b[1mval_loss\x1b[0m: \x1b[32m0.31\x1b[0m", 0.31),
    ("val_loss", "a_val_loss: 9\nval_loss: 0.31\nval_loss_step: 9\n/val_loss: 9", 0.31),
    ("val_loss", "val_loss: 0.31 epoch=3-val_loss=0.99.ckpt", 0.31),
    ("val/loss", "val/loss: 0.31", 0.31),
    ("Val Loss", "Val Loss: 0.31", 0.31),
    ("λ-loss", "λ-loss: 0.31", 0.31),
    # Prose is no place for a number.
    ("val_loss", "val_loss: 0.31\nEpoch 2: val_loss did not improve from 0.2", 0.31),
    ("val_loss", "val_loss: 0.31\nval_loss improved from inf to 0.31, saving", 0.31),
    ("val_loss", "val_loss: 0.31\nNamespace(metric='val_loss', lr=1)", 0.31),
    ("val_loss", "val_loss: 0.31\ntrain.py --metric val_loss", 0.31),
    # Not finite, in many hands.
    ("val_loss", "val_loss: .5\nval_loss: nan", math.nan),
    ("val_loss", "val_loss: .5\nval_loss: NaN,", math.nan),
    ("val_loss", "val_loss: .5\nval_loss: -nan(ind)", math.nan),
    ("val_loss", "val_loss: .5\nval_loss: -1.#IND00", math.nan),
    ("val_loss", "val_loss: .5\nval_loss: +Inf", math.nan),
    ("val_loss", "val_loss: .5\nval_loss: 1e999", math.nan),
    ("val_loss", "val_loss: .5\nval_loss = nan is not finite. Best was 0.3", math.nan),
    # A later place without a number: never the earlier match.
    ("val_loss", "val_loss: .5\nval_loss: None", math.nan),
    ("val_loss", 'val_loss: .5\n{"val_loss": null}', math.nan),
    ("val_loss", "val_loss: .5\nval_loss: ********", math.nan),
    ("val_loss", "val_loss: .5\nval_loss:", math.nan),
    ("val_loss", "val_loss: .5\n  val_loss", math.nan),
    ("val_loss", "val_loss .5\nval_loss --", math.nan),
    ("val_loss", "val_loss: .5\nval_loss is not finite, stopping", math.nan),
    # Patterns: a captured number may be more than what was captured.
    (r"loss is (\S+)", "loss is 0.31, acc is 1", 0.31),
    (r"loss is (\d)", "loss is 0.31", 0.31),
    (r"loss is (\d+\.\d)", "loss is 0.31e-3", 0.31e-3),
    (r"loss.*(\d+\.\d+)", "loss 12.31", 12.31),
    (r"loss: (?:mean )?(\S+)", "loss: mean 0.31", 0.31),
    (r"^(\d+\.\d+)$", "5\n0.31\n", 0.31),
    (r"loss is (?P<loss>\d\S*)", "loss is 0.31\nloss is unknown", math.nan),
    (r"loss is (\S+)", "loss is 0.31\nloss is n/a", math.nan),
    (r"loss is (\d+\.\d+)", "loss is 0.31\nloss is nan", math.nan),
)  # fmt: skip

# No plain number: an error, and no guess.
UNREADABLE = (
    "val_loss: 0,31",
    "val_loss: 1,234",
    "val_loss: 1.234,56",
    "val_loss: 0.31.7",
    "val_loss: 3/10",
    "val_loss: 12k",
    "val_loss: 0x1.8p3",
    "val_loss: 1_000",
    "val_loss: [0.5, 0.31]",
    "val_loss: <tf.Tensor: shape=(), numpy=0.31>",
    "val_loss: see below",
)


def verdict(metric, output, pieces=None, **options):
    scanner = Scanner(Metric(text=metric, **options))
    kept = Kept(None, [scanner.read])
    for piece in pieces or [output.encode()]:
        kept.take(0, piece)
    kept.close()
    return judged(scanner.readings, names_with_numbers(kept.ends()))


def outcome(loss):
    """Status and loss of a reading: NaN diverged, None is an error."""
    if loss is None:
        return "error", None
    return ("diverged", None) if math.isnan(loss) else ("ok", loss)


def test_what_trainings_print_is_read():
    """Each of the ways in which trainings print a loss gives that loss.

    Cut at random, also within a number or a letter, outputs give the same.
    """
    draw, wrong = random.Random(0), []  # noqa: S311 no secret
    for metric, output, loss in READ:
        raw, found = output.encode(), verdict(metric, output)
        cuts = sorted(draw.sample(range(len(raw) + 1), 3))
        pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
        is_same = verdict(metric, output, pieces) == found
        if not is_same or (found.status, found.loss) != outcome(loss):
            wrong.append((metric, output, found))
    assert wrong == []


def test_what_is_no_plain_number_is_an_error():
    """Decimal commas, lists, fractions, suffixes: refused, also after a number."""
    for output in UNREADABLE:
        for before in ("", "val_loss: 0.5\n"):
            found = verdict("val_loss", before + output)
            assert found.status == "error", output
            assert output.partition(": ")[2] in found.error


@pytest.mark.parametrize(("take", "loss"), [("last", 0.4), ("min", 0.3), ("max", 0.9)])
def test_which_number_counts(take, loss):
    """The last, the smallest or the largest; what is not finite in between is not."""
    output = "loss 0.9\nloss nan\nloss 0.3\nloss 0.4\n"
    assert verdict("loss", output, take=take).loss == loss
    assert verdict("loss", output + "loss nan", take=take).status == "diverged"


def test_a_metric_that_never_comes_names_the_nearest():
    """What stood with a number is offered; a header without one is no divergence."""
    found = verdict("val_loss", "epoch val_loss\ntrain_loss=1 valid_loss: 0.3")
    assert found.status == "error"
    assert "valid_loss" in found.error
    assert "val_loss" in verdict("valloss", "loss=1 val_loss 0.3").error
    assert verdict("val_loss", "").status == "error"
    assert verdict("val_loss", "val_loss=None").status == "error"


def test_an_endless_line_costs_no_memory():
    """A bar without line breaks is read in windows, and its last number is right."""
    scanner = Scanner(Metric(text="loss"))
    kept = Kept(None, [scanner.read])
    for number in range(40_000):
        kept.take(0, b"loss=%d " % number)
        assert len(kept._pending[0]) < 1 << 17
    kept.close()
    assert judged(scanner.readings).loss == 39_999


def test_hostile_lines_take_no_time():
    """Long runs of letters, digits, names and escapes are gone through once."""
    start = time.process_time()
    for piece in ("x", "1,", "loss=", "\x1b]", "-"):
        for metric in ("loss", r"loss (\S+)"):
            output = f"{piece * 10**5}\nloss 0.5\n{piece * 10**5} "
            # The last "loss=" of a line stands without a number.
            is_place = (metric, piece) == ("loss", "loss=")
            found = verdict(metric, output)
            assert found.status == ("diverged" if is_place else "ok")
    assert time.process_time() - start < 10


def test_what_is_no_metric_is_refused():
    """No group, two groups, no regular expression, nothing, an unknown take."""
    for text in ("loss (", "(a)(b)", "  ", "(?:a)"):
        with pytest.raises(UsageError) as raised:
            Metric(text=text)
        assert "--metric" in raised.value.must
    with pytest.raises(UnknownNameError) as unknown:
        Metric(text="loss", take="best")
    assert unknown.value.name == "best"


SCORES = (
    *("val_acc", "valAccuracy", "top-1", "acc@1", "f1", "F1Score", "roc_auc", "bleu"),
    *("R^2", "mAP50", "neg_log_loss", "run.json:eval.accuracy", "exact_match"),
    *(r"top1 (\S+)", r"loss \S+ acc (\S+)", r"accuracy of the net: (\S+)"),
    r"F1 score = (\S+)",
)
LOSSES = (
    *("loss", "val_loss", "acc_loss", "brier_score", "error", "top1_err", "perplexity"),
    *("neg_log_likelihood", "neg_loss", "run.json:acc.loss", "trainer_state.json", "x"),
    *(r"acc \S+ loss (\S+)", r"brier score (\S+)", r"(\d+) of all", "rmse"),
)


def test_a_name_says_which_way_is_better():
    """Scores are maximized, all else minimized; ``maximize`` overrides the name."""
    assert [text for text in SCORES if not Metric(text=text).larger_is_better] == []
    assert [text for text in LOSSES if Metric(text=text).larger_is_better] == []
    assert not Metric(text="val_acc", maximize=False).larger_is_better
    assert Metric(text="loss", maximize=True).larger_is_better


LINES = '{"loss": 1}\n\n{"loss": 0.4}\n{"acc": 1}\n{"loss": 0.5}\n'
FILES = (
    ("log.jsonl:loss", LINES, 0.5),
    ("log.jsonl:loss", '{"loss": 1}\n{"lo', None),
    ("m.json:loss", {"loss": 0.5}, 0.5),
    ("m.json:eval.loss", {"eval": {"loss": 0.5}}, 0.5),
    ("m.json:eval.loss", {"eval.loss": 0.5, "eval": {"loss": 2}}, 0.5),
    ("m.json:runs.loss", {"runs": [{"loss": 1}, {"acc": 2}, {"loss": 0.5}]}, 0.5),
    ("m.json:loss", {"loss": [3, 2, 0.5]}, None),
    ("m.json:loss", {"loss": "0.5"}, 0.5),
    ("m.json:loss", {"loss": True}, None),
    ("m.json:loss", {"accuracy": 1}, None),
    ("m.json:loss", [{"loss": 1}, {"loss": None}], math.nan),
    ("m.json:loss", {"loss": math.nan}, math.nan),
    ("trainer_state.json", {"log_history": [{"eval_loss": 0.5}, {"loss": 1}]}, 0.5),
    ("trainer_state.json:loss", {"log_history": [{"loss": 0.5}]}, 0.5),
)


def test_files_of_results_are_read(tmp_path):
    """JSON of any depth, lists and lines in order, a trainer's state; null diverged.

    A damaged file, or none, is an error.
    """
    for text, written, loss in FILES:
        metric = Metric(text=text)
        path = tmp_path / metric.file[0]
        path.write_text(written if isinstance(written, str) else json.dumps(written))
        found = read_result_file(metric, path)
        assert (found.status, found.loss) == outcome(loss), (text, written)
    lines, least = tmp_path / "log.jsonl", Metric(text="log.jsonl:loss", take="min")
    lines.write_text(LINES)
    assert read_result_file(least, lines).loss == 0.4
    lines.unlink()
    assert read_result_file(least, lines).status == "error"


def test_the_latest_state_of_a_trainer_is_found(tmp_path):
    """The state at the end, or else that of the checkpoint with the highest step."""
    assert trainer_state_in(tmp_path) is None
    for step in (9, 10):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "trainer_state.json").write_text("{}")
    assert trainer_state_in(tmp_path).parent.name == "checkpoint-10"
    (tmp_path / "trainer_state.json").write_text("{}")
    assert trainer_state_in(tmp_path).parent == tmp_path
