"""Any command line prints an answer or an error text, and never fails internally."""

import contextlib
import io
import json
import signal

from hypothesis import given, settings
from hypothesis import strategies as st

from dwindle.cli.facts import FACTS
from dwindle.cli.main import main
from dwindle.decay.knobs import KNOBS
from dwindle.decay.shapes import SHAPES

# An answer takes a tenth of a second, and five on a machine that does much besides.
# A sum that walks through 1e18 steps takes for ever, and memory without an end.
# Hypothesis measures a deadline at the end, and such a call has none.
AT_MOST = 10

# Facts that are possible, though not likely: a line of them reaches the formulas.
SHARES = ("0", "0.05", "0.5", "0.9", "0.9999999999999999", "1e-300")
COUNTS = ("1", "3", "8", "1000", "1e6", "1e9", "1e18")
POSSIBLE = {
    "--lr": ("1e-300", "1e-3", "0.1", "1", "1e300"),
    "--epochs": ("1e-300", "0.5", "3", "90", "1e300"),
    "--schedule": tuple(SHAPES),
    "--milestones": ("50%,75%", "2,3 steps", "1,2 epochs", "1e18 steps"),
    "--period": ("10%", "2 steps", "1 epoch", "0.5", "1e-9", "1e-300", "0.02%"),
    "--wd-schedule": (
        *("linear to 0", "cosine from 10%", "inverse-sqrt", "exponential"),
        *("cosine-restarts", "one-cycle", "polynomial to 0"),
    ),
    "--cycled-momentum": ("0.8,0.9", "0,0"),
    "--gamma": ("0.1", "1e-300", "1", "0.999999999"),
    "--growth": ("1", "2", "1.0000000001", "1e300"),
    "--power": ("0.5", "1", "1e-300", "1e300"),
    "--betas": ("0.9,0.999", "0,0", "0.9,0.9999999999"),
    "--batch-tokens": ("0.5M", "1e18", "1e-300"),
    "--tokens": ("20B", "1e300", "1e-300"),
    "--gradient-rms": ("1e-300", "1", "1e300"),
    "--loss": ("mean", "sum"),
    "--units": ("1,1", "784,256,10", "1000000000,1000000000"),
    "--dtype": ("float32", "bfloat16"),
    "--depth": ("0", "3"),
    "--tokens-per-example": ("1e-300", "2048", "1e300"),
    "--warmup": (*SHARES, "1 step", "1000 steps", "1%"),
} | dict.fromkeys(
    ("--momentum", "--dampening", "--final-lr", "--start-lr", "--decay-share"), SHARES
)
COURSE = {"--schedule", "--lr", "--steps"}
VALUES = ("0", "1e-300", "1e-15", "1e-3", "0.5", "1", "3 epochs", "20% of the run")
STRANGE = ("", "-1", "1e400", "-inf", "nan", "0x1", "1_0", "1:2:3", "784,a", "0.1%")
STRANGE_TEXTS = st.one_of(st.sampled_from(STRANGE), st.text(max_size=4))
NAMES = st.sampled_from([*KNOBS, "AdamW", "torch.SGD", "keras.L2"])


def _facts(*, texts_of, may_change):
    def words_of(fact):
        text = texts_of(fact)
        change = st.tuples(text, text).map(":".join) if may_change else text
        return st.one_of(text, change).map(lambda typed: f"{fact.name}={typed}")

    def with_course(facts):
        # Without these three there is no run, and nothing is summed.
        more = [fact for fact in FACTS if fact.name in COURSE and fact not in facts]
        return st.sampled_from(([], more)).map(lambda added: [*facts, *added])

    chosen = st.lists(st.sampled_from(FACTS), unique_by=lambda fact: fact.name)
    return chosen.flatmap(with_course).flatmap(
        lambda facts: st.tuples(*map(words_of, facts))
    )


def _possible_texts(fact):
    return st.sampled_from(POSSIBLE.get(fact.name, COUNTS))


def _lines(*, names, values, texts_of):
    setting = st.tuples(names, values).map("=".join)
    once = _facts(texts_of=texts_of, may_change=False)
    change = _facts(texts_of=texts_of, may_change=True)
    calls = (
        (st.tuples(st.just("suggest"), names), once),
        (st.tuples(st.just("explain"), setting), once),
        (st.tuples(st.just("rescale"), setting), change),
        (
            st.tuples(st.just("convert"), setting, st.just("--to"), names),
            st.one_of(once, change),
        ),
    )
    return st.one_of(*map(st.tuples, *zip(*calls, strict=True))).map(
        lambda parts: [word for part in parts for word in part]
    )


POSSIBLE_LINES = _lines(
    names=NAMES, values=st.sampled_from(VALUES), texts_of=_possible_texts
)
ANY_LINES = _lines(
    names=st.one_of(NAMES, STRANGE_TEXTS),
    values=st.one_of(st.sampled_from(VALUES), STRANGE_TEXTS),
    texts_of=lambda fact: st.one_of(_possible_texts(fact), STRANGE_TEXTS),
)


@contextlib.contextmanager
def _in_time():
    def give_up(_number, _frame):
        # Not TimeoutError: as an OSError that would be a reader who left.
        raise RuntimeError

    if not hasattr(signal, "setitimer"):  # Windows: its hangs are those of the others
        yield
        return
    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, AT_MOST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _run_line(words):
    """Return exit code, stdout and stderr of one line, which has some seconds."""
    out, err = io.StringIO(), io.StringIO()
    streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with streams[0], streams[1], _in_time():
        code = main(words)
    return code, out.getvalue(), err.getvalue()


# There are more kinds of lines than examples of an ordinary law.
@settings(max_examples=3 * settings.default.max_examples)
@given(words=st.one_of(POSSIBLE_LINES, ANY_LINES), as_json=st.booleans())
def test_any_line_is_answered_or_refused(words, *, as_json):
    """Any knob, value and facts give an answer (0) or an error (2), never a fault (3).

    With --json stdout is one document, strictly JSON, also for what is refused.
    """
    code, shown, err = _run_line([*words, *["--json"] * as_json])
    assert code in (0, 2), err
    if as_json:
        document = json.loads(shown, parse_constant=lambda name: {}[name])
        assert ("error" in document) is (code == 2)
    else:
        assert bool(shown) is (code == 0)


@given(words=st.lists(st.text(max_size=8), max_size=4))
def test_any_words_end_in_words(words):
    """Words that mean nothing end with 2 and a sentence, or print the help."""
    code, shown, err = _run_line(words)
    assert code in (0, 2)
    assert shown or err
