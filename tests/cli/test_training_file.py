"""Study files of find and tune, and their lines: each mistake at its place, at once.

Nothing that is written wrong ends in a failure of ours.
"""

import json
from pathlib import Path

import pytest
from cli.lines import error_of, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dwindle.cli import find, tune
from dwindle.cli.main import main
from dwindle.errors import UnknownNameError

WORDS = '["python", "train.py", "--wd", "{weight_decay}", "{seed}", "{width}"]'
RUN = """\
[run]
lr = 3e-4
batch_size = 128
epochs = 3
schedule = "cosine"
"""
SEARCH = f"""\
command = {WORDS}
knob = "torch.optim.AdamW"
low = 1e-3
high = 1
metric = "val_loss"
"""
FIND = f"""\
[find]
{SEARCH}trainings = 20
within = 1.3
guess = 0.1
take = "last"
maximize = false
jobs = 2
time = "2h"
timeout = "30m"
scale = {{ width = 64 }}
{RUN}"""
TUNE = f"""\
[tune]
{SEARCH}[proxies]
width = [16, 32, 64]
[target]
width = 256
{RUN}"""
GOOD = {"find": FIND, "tune": TUNE}
# (text of the good file, what stands there instead) -> the lines of the mistakes.
IN_FIND = {
    ("command =", "comand ="): [2],
    ("command =", "function ="): [2],
    (WORDS, '"python train.py {weight_decay}"'): [2],
    (WORDS, '["python", 3]'): [2],
    (WORDS, "[]"): [1],
    ('"train.py"', '"tran.py"'): [1],
    ("{weight_decay}", "{wd}"): [1],
    ('"{width}"', '"width"'): [1],
    ("command =", 'function = "a:b"\ncommand ='): [1],
    ("knob =", "knbo ="): [3],
    ('"torch.optim.AdamW"', '"torch.optim.AdmaW"'): [3],
    ('"torch.optim.AdamW"', "3"): [3],
    ('"torch.optim.AdamW"', '"half-life:epochs"'): [1],
    ("low = 1e-3", "low = 2"): [4],
    ("low = 1e-3", "low = 0"): [4],
    ("low = 1e-3", "low = -1"): [4],
    ("low = 1e-3", "low = nan"): [4],
    ("low = 1e-3", 'low = "abc"'): [4],
    ("low = 1e-3", "low = true"): [4],
    ("low = 1e-3", "low = [1, 2]"): [4],
    ("low = 1e-3\n", ""): [1],
    ("high = 1\n", "high = inf\n"): [5],
    ("high = 1\n", "high = 1,5\n"): [5],
    ("high = 1\n", "high =\n"): [5],
    ("high = 1\n", "high = 1 2\n"): [5],
    ("high = 1\n", "high = 1\nhigh = 2\n"): [6],
    ("high = 1\n", 'high = 1\nas = "torch.optim.SGD"\n'): [1],
    ("high = 1\n", 'high = 1\nslots = "gpu0"\n'): [6],
    ("high = 1\n", 'high = 1\nray = "yes"\n'): [6],
    ("high = 1\n", "high = 1\nhtml = 3\n"): [6],
    ("high = 1\n", "high = 1\njson = true\n"): [6],
    ("high = 1\n", "high = 1\nseed = 3\n"): [6],
    ("high = 1\n", "high = 1\n1\n"): [6],
    ('metric = "val_loss"', 'metric = ""'): [6],
    ('metric = "val_loss"', 'metric = "(a)(b)"'): [6],
    ('metric = "val_loss"\n', ""): [1],
    ("trainings = 20", "trainings = 2"): [7],
    ("trainings = 20", "trainings = 0"): [7],
    ("trainings = 20", "trainings = 20.5"): [7],
    ("trainings = 20", 'trainings = "many"'): [7],
    ("within = 1.3", "within = 0.5"): [8],
    ("within = 1.3", "within = 0"): [8],
    ("guess = 0.1", "guess = -1"): [9],
    ('"last"', '"lats"'): [10],
    ("maximize = false", 'maximize = "no"'): [11],
    ("jobs = 2", "jobs = 0"): [12],
    ('"2h"', '"2 weeks"'): [13],
    ('"2h"', "2024-01-01"): [13],
    ('"30m"', "{ a = 1 }"): [14],
    ("{ width = 64 }", '"width"'): [15],
    ("{ width = 64 }", "{ seed = 3 }"): [15],
    ("{ width = 64 }", "{ width = 0 }"): [15],
    ("{ width = 64 }", "{ width = 64, depth = 3 }"): [1],
    ("[run]", "[runs]"): [16],
    ("[find]", "[fidn]"): [1],
    ("[find]\n", ""): [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
    (FIND, "find = 3\n"): [1],
    (FIND, "[[find]]\nlow = 1\n"): [1],
    (FIND, ""): [1, 1, 1],
    ("lr = 3e-4", "lr = -1"): [17],
    ("lr = 3e-4", 'lr = "1:2"'): [17],
    ("lr = 3e-4", "learning_rate = 1"): [17],
    ("batch_size = 128", "batch_size = 1.5"): [18],
    ("epochs = 3", 'epochs = "many"'): [19],
    ("epochs = 3", "epochs = 3\ndataset_size = 1000\nsteps = 10"): [21],
    ('"cosine"', '"cosin"'): [20],
    ('"cosine"', '"cosine"\nmilestones = "30 epochs"'): [21],
}
IN_TUNE = {
    ("[proxies]", "[proxy]"): [7],
    ("[16, 32, 64]", "[16]"): [1],
    ("[16, 32, 64]", '"a"'): [8],
    ("[16, 32, 64]", "[]"): [8],
    ("[16, 32, 64]", "[0, 16]"): [8],
    ("width = [", "seed = ["): [1],
    ("[target]\nwidth = 256\n", ""): [1],
    ("width = 256", "width = 0"): [10],
    ("width = 256", "depth = 256"): [1],
    ("high = 1\n", "high = 1\nguess = 0.1\n"): [6],
    ("knob =", "knbo ="): [3],
    ("low = 1e-3", "low = 2"): [4],
    ("lr = 3e-4", "lr = -1"): [12],
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("print('val_loss 1')\n")


@pytest.mark.parametrize(("name", "changes"), [("find", IN_FIND), ("tune", IN_TUNE)])
def test_each_mistake_is_found_at_its_line(name, changes, capsys):
    """The good file is planned; of a mistake what it hides is not reported."""
    Path("s.toml").write_text(GOOD[name])
    code, _, err = run(f"{name} s.toml --dry-run", capsys)
    assert code == 0, err
    found = {}
    for old, new in changes:
        assert old in GOOD[name]
        Path("s.toml").write_text(GOOD[name].replace(old, new, 1))
        code, out, err = run(f"{name} s.toml --dry-run --json", capsys)
        assert code == 2, (old, new, err)
        error = json.loads(out)["error"]
        assert error["kind"] == "StudyFileError", (old, new)
        found[old, new] = [line for line, _ in error["facts"]["mistakes"]]
    assert found == changes
    assert not list(Path().glob("*.db"))


def test_all_mistakes_are_reported_at_once(capsys):
    """Ten of all kinds: ten lines, in the order of the file."""
    text = "low = 1\n" + FIND
    for old, new in (
        (WORDS, "1"),
        ('"torch.optim.AdamW"', '"torch.AdaW"'),
        ("low = 1e-3", "low = -1"),
        ("high =", "hihg ="),
        ("within = 1.3", "within = 99"),
        ('"last"', '"best"'),
        ("maximize = false", "maximize = 1"),
        ("lr = 3e-4", "lr = -1"),
        ('"cosine"', '"cosin"'),
    ):
        text = text[:8] + text[8:].replace(old, new, 1)
    Path("s.toml").write_text(text)
    mistakes = error_of("find s.toml", capsys)["facts"]["mistakes"]
    assert [line for line, _ in mistakes] == [1, 3, 4, 5, 6, 9, 11, 12, 18, 21]


@pytest.mark.parametrize(
    ("in_file", "typed", "maximizes"),
    [
        ("", "", True),
        ("", "--minimize", False),
        ("maximize = false", "", False),
        ("minimize = true", "", False),
        ("minimize = true", "--maximize", True),
        ("maximize = true", "--minimize", False),
    ],
)
def test_a_score_is_maximized_unless_minimize_is_given(
    in_file, typed, maximizes, capsys
):
    """By the name of its metric; a typed option overrides the file."""
    text = FIND.replace('"val_loss"', '"val_acc"')
    assert "val_acc" in text
    Path("s.toml").write_text(text.replace("maximize = false", in_file))
    searches = []

    def see(search, *_, **__):
        searches.append(search)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(find, "_print_plan", see)
        assert run(f"find s.toml --dry-run {typed}", capsys)[0] == 0
    assert [each.conditions.maximize for each in searches] == [maximizes]


# What one slip of a finger makes of a name at a place: a letter is lost, doubled, or
# swapped with the next.
SLIPS = (
    lambda name, at: name[:at] + name[at + 1 :],
    lambda name, at: name[:at] + name[at] + name[at:],
    lambda name, at: name[:at] + name[at + 1 : at + 2] + name[at] + name[at + 2 :],
)


@pytest.mark.parametrize(
    "slips", [SLIPS[:1], pytest.param(SLIPS[1:], marks=pytest.mark.full)]
)
def test_what_is_misspelt_gets_its_name(slips):
    """Of all slips in all keys and options, the first name offered is the right one."""
    grammar = find.grammar_of("tune", tune.OPTIONS)
    offered = []
    for table in ("tune", "run"):
        keys = grammar.options_of(table)
        typos = {
            (key, slip(key, at))
            for key in keys
            for at in range(len(key))
            for slip in slips
            if slip(key, at) not in {*keys, ""}
        }
        for key, typo in typos:
            with pytest.raises(UnknownNameError) as raised:
                grammar.option_at(table, typo)
            offered.append(raised.value.nearest[0] == key)
    assert len(offered) > 400
    assert sum(offered) / len(offered) > 0.95


# Where files cannot be written the code is 3, which other tests show.
FILES = {"--html", "--png", "--store", "--dry-run"}
VALUES = st.one_of(
    st.integers().map(str),
    st.floats().map(repr),
    st.booleans().map(lambda value: str(value).lower()),
    st.text(max_size=6).map(lambda text: f'"{text.encode("unicode_escape").decode()}"'),
    st.sampled_from(["1e-3", '"2h"', '"a=1"', '"a=1,b"', "[1, 2]", "[]", "{ a = 1 }"]),
    st.sampled_from(["2024-01-01", "{ width = [1] }", "[[1]]", WORDS, '"x:y:z"', "'"]),
)
ODD_KEYS = st.text(alphabet="abw_-.\"' =[", max_size=5)


def files(name):
    """A good file in which some keys have other values, or are others."""
    known = {*find.grammar_of(name, find.OPTIONS).options_of(name), "lr", "width"}
    keys = st.sampled_from(sorted(known - {name.lstrip("-") for name in FILES}))
    lines = st.tuples(st.one_of(keys, ODD_KEYS), VALUES).map(" = ".join)
    change = st.tuples(st.integers(0, GOOD[name].count("\n")), lines)

    def changed(changes):
        text = GOOD[name].splitlines()
        for at, line in changes:
            text[at : at + 1] = [line]
        return "\n".join(text)

    return st.one_of(
        st.lists(change, min_size=1, max_size=3).map(changed), st.text(max_size=40)
    )


def test_facts_that_need_each_other_are_read_together(capsys):
    """Tokens and their batch, a shape and its milestones: no key is judged alone."""
    epochs = "batch_size = 128\ndataset_size = 1000\nepochs = 90\n"
    several = f'{epochs}schedule = "multistep"\nmilestones = '
    tokens = 'tokens = "20B"\nbatch_tokens = "0.5M"\n'
    lines = {
        f'{several}"30,60 epochs"': 0,
        f"{several}[0.3, 0.6]": 0,
        f'{several}"30%,60%"': 0,
        f"{several}[30, 60]": 2,  # no share, and of no clock
        f'{epochs}schedule = "multistep"': 2,
        f'{tokens}parameters = "124M"\nwd_schedule = "linear to 0"': 0,
        'tokens = "20B"': 2,
        "lr = [1e-3, 1e-3, 5e-4]\nsteps = 3": 0,
    }
    head, found = FIND.partition("[run]")[0], {}
    for text in lines:
        Path("s.toml").write_text(f"{head}[run]\n{text}\n", encoding="utf-8")
        found[text], *_ = run("find s.toml --dry-run", capsys)
    assert found == lines


def plans_or_refuses(words, capsys):
    code = main(words)
    out, err = capsys.readouterr()
    assert code in (0, 2), err
    assert bool(out) is (code == 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(*(files(name).map(lambda t, n=name: (n, t)) for name in GOOD)))
def test_any_file_is_planned_or_refused(text, capsys):
    """No file ends in a failure of ours: a plan (0), or mistakes with lines (2)."""
    name, toml = text
    Path("s.toml").write_text(toml, encoding="utf-8", errors="surrogatepass")
    plans_or_refuses([name, "s.toml", "--dry-run"], capsys)


OWN = [each for each in tune.OPTIONS if each.is_named and each.name not in FILES]
STRANGE = st.one_of(
    st.sampled_from(["", "0", "-1", "nan", "1e400", "a=1", "width=1,2", "2h", "x:y"]),
    st.text(alphabet="0123456789=,:.e-ax", max_size=5),
)
LINES = st.lists(
    st.sampled_from(OWN).flatmap(
        lambda option: (
            st.just([option.name])
            if option.is_flag
            else STRANGE.map(lambda text: [option.name, text])
        )
    ),
    max_size=4,
)
PLAN = {
    "find": "--knob torch.optim.AdamW --low 1e-3 --high 1 --metric loss",
    "tune": "--knob torch.optim.AdamW --low 1e-3 --high 1 --metric loss "
    "--proxy width=1,2 --target width=4",
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(list(PLAN)), more=LINES)
def test_any_line_is_planned_or_refused(name, more, capsys):
    """Any command line prints a plan (0), or an error with what to write (2)."""
    words = [*PLAN[name].split(), *(word for each in more for word in each)]
    command = ["echo", "{weight_decay}", "{width}"]
    plans_or_refuses([name, *words, "--dry-run", "--", *command], capsys)
