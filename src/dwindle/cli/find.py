"""dwindle find: the best weight decay of a user's own training."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dwindle.cli import on_ray
from dwindle.cli.facts import FACT_OPTIONS, OF_ONE_RUN, WrittenFacts
from dwindle.cli.options import (
    DIRECTIONS,
    Option,
    direction_of,
    read_count,
    read_number,
    read_whole,
    read_with,
    written,
)
from dwindle.cli.output import note, print_plan, stderr, warn
from dwindle.cli.report import OUTPUTS, Outputs, files_of_store, show_kept
from dwindle.cli.training_file import Arguments, Grammar, arguments_of
from dwindle.errors import RangeError, UsageError
from dwindle.wording import listed, number

if TYPE_CHECKING:
    from dwindle.finding.driver import OnProgress, OnWarning, SearchPlan, Settings

_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_SEARCH = "The search; these may differ when it goes on"


read_seconds = read_with(
    _SECONDS, "a time with its unit", "2h", "30m", "90s", kind=float
)


def read_scale(option: str, text: str) -> dict[str, float]:
    """Read width=64,depth=3 as quantities of scale.

    Example:
        >>> read_scale("--scale", "width=64,batch_size=1k")
        {'width': 64.0, 'batch_size': 1000.0}

    """
    from dwindle.finding.search import checked_scale

    scale: dict[str, float] = {}
    for part in text.split(","):
        name, is_pair, value = (each.strip() for each in part.partition("="))
        if not is_pair or not name or name in scale:
            must = "names with their numbers, each once"
            remedy = written(option, "width=64,depth=3")
            raise RangeError(option, repr(text), must, remedy)
        scale[name] = read_number(option, value)
    return checked_scale(scale)


def read_limit(option: str, text: str) -> float:
    """Read a number of the search, which has a range; a whole one of trainings."""
    from dwindle.finding.search import checked

    is_count = option.endswith("trainings")
    return checked(option, (read_whole if is_count else read_number)(option, text))


def read_knob(_: str, text: str) -> str:
    """Read the name of a place where a decay is typed."""
    from dwindle.decay.knobs import resolve_knob
    from dwindle.finding.unit import own_knob

    if own_knob(text) is None:
        resolve_knob(text)  # raises where it is none
    return text


def read_metric(_: str, text: str) -> str:
    """Read the name, pattern or file key of the loss."""
    from dwindle.finding.metric import Metric

    return Metric(text=text).text


def read_take(_: str, text: str) -> str:
    """Read which of the numbers of a metric counts."""
    from dwindle.finding.metric import taken

    return taken(text)


def read_slots(_: str, text: str) -> tuple[str, ...]:
    """Read cuda:0,cuda:1 as slots, one training in each."""
    from dwindle.finding.running import slot_variables

    slots = tuple(each.strip() for each in text.split(","))
    for each in slots:
        slot_variables(each)  # raises where it is none
    return slots


_OF_RUN = tuple(replace(each, group=OF_ONE_RUN) for each in FACT_OPTIONS)
# Trainings of a typical search; the help of find has the same numbers.
USUAL = 16, 27
# What no search goes without, with an example.
NEEDED = {"knob": "torch.optim.AdamW", "low": "1e-3", "high": "1"}
_TRAININGS = ("--trials", "--n-trials", "--runs", "--max-trainings")
_TIME = ("--seconds", "--minutes", "--hours", "--max-time", "--time-limit")
_JOBS = ("--n-jobs", "--parallel", "--workers")
_search = partial(Option, group=_SEARCH)
OPTIONS = (
    Option("COMMAND {weight_decay} {seed}", "", is_rest=True, keyword="words"),
    Option("TRAINING", "module:function or FILE.toml, instead of a command"),
    Option("--knob", "where the decay is typed: torch.optim.AdamW", "KNOB", read_knob),
    Option(
        "--metric",
        "the loss, by the name that is printed; val_loss",
        "NAME",
        read_metric,
    ),
    _search("--low", "least decay of the range", "X", read_limit),
    _search("--high", "greatest decay of the range", "X", read_limit),
    _search("--guess", "where the best is expected", "X", read_limit),
    _search("--trainings", "the most; 25", "N", read_limit, also=_TRAININGS),
    _search("--within", "factor of the interval; 1.25", "X", read_limit),
    _search("--time", "no training begins after 2h", "TIME", read_seconds, also=_TIME),
    _search(
        "--jobs", "at a time; 1, or what fits on Ray", "N", read_count(1024), also=_JOBS
    ),
    _search("--slots", "a device each: cuda:0,cuda:1", "A,B", read_slots),
    Option("--scale", "quantities it gets: width=64,depth=3", "X=N,..", read_scale),
    Option("--take", "which number of the metric: last, min, max", "WHICH", read_take),
    *DIRECTIONS,
    Option(
        "--as",
        "what {weight_decay} is, with --knob half-life:epochs",
        "KNOB",
        read_knob,
    ),
    Option("--timeout", "end a training after 30m", "TIME", read_seconds),
    Option("--store", "where results are kept; SCRIPT-find.db here", "PATH"),
    Option("--accept-change", "go on although the training is another one"),
    Option("--keep-out", "keep the folders {out} of all trainings"),
    Option("--dry-run", "print the plan and the first command; train nothing"),
    *OUTPUTS,
    *on_ray.OPTIONS,
    *_OF_RUN,
)


def grammar_of(
    table: str, options: Sequence[Option], free: Mapping[str, Option] = {}
) -> Grammar:
    """Return what may stand in the study file of a command with these options."""
    named = [each for each in options if each not in _OF_RUN and each.is_named]
    return Grammar(table=table, options=named, facts=_OF_RUN, needed=NEEDED, free=free)


def command(*, as_json: bool, **typed: Any) -> int:
    r"""Find the best weight decay of your own training, and how sure it is.

    Write the command of one training behind two dashes, with {weight_decay} and {seed}
    where it takes them, or name a Python function of weight_decay and seed that returns
    the loss. Typically 16 to 27 trainings give the value with its interval.

    Each training is kept when it ends: the same line again continues. {out} is a new
    folder for each training, {port} a free port. All of it may stand in a file:

        [find]
        command = ["python", "train.py", "--wd", "{weight_decay}", "--seed", "{seed}"]
        knob = "torch.optim.AdamW"      # or function = "my_module:train"
        low = 1e-3
        high = 1
        metric = "val_loss"
        [run]                           # facts, so that the half-life can be given
        lr = 3e-4
    """
    with arguments_of(typed, grammar_of("find", OPTIONS)) as arguments:
        search = search_from(arguments)
    with closing(search):
        path, to = outputs_of(search, arguments, "find", as_json=as_json)
        if arguments["dry_run"]:
            _print_plan(search, path, as_json=as_json)
            return 0
        from dwindle.finding.driver import run_search

        with running(search, arguments) as how:
            stopped = run_search(search, path, *how)
    return show_kept(path, to, stopped=stopped)


def outputs_of(
    search: "SearchPlan", arguments: Arguments, what: str, *, as_json: bool
) -> tuple[Path, Outputs]:
    """Return the store and where results are shown, checked before any training."""
    from dwindle.finding.command import CommandRecipe

    if search.conditions.maximize and not arguments["maximize"]:
        metric = search.conditions.metric
        note(f"Higher {metric} is better, by its name; add --minimize if not.")
    recipe = search.recipe
    if isinstance(recipe, CommandRecipe) and recipe.left_as_they_are:
        left = listed([f"{{{name}}}" for name in recipe.left_as_they_are], most=3)
        ours = listed([f"{{{name}}}" for name in recipe.replaced_names])
        warn(f"{left} in the command stays as it is: only {ours} are replaced.")
    path = store_named_after(search.conditions.training, what)
    path = Path(arguments["store"]) if arguments["store"] else path
    inputs = (*arguments["inputs"], *files_of_store(path))
    return path, Outputs.checked(arguments, inputs, as_json=as_json)


@contextmanager
def running(
    search: "SearchPlan", arguments: Arguments
) -> Iterator[tuple["Settings", "OnProgress", "OnWarning"]]:
    """Yield how trainings run, and what reports progress and warnings on stderr.

    A cluster is disconnected at the end.
    """
    from dwindle.finding.driver import Settings
    from dwindle.finding.progress import shown_on

    words = search.conditions.training
    # The folder of a command without {out} is watched; a function is one word.
    watches = len(words) > 1 and "{out}" not in " ".join(words)
    cluster = on_ray.cluster_from(arguments)
    with cluster or nullcontext(), shown_on(stderr()) as on_progress:
        settings = Settings(
            jobs=arguments["jobs"],
            slots=arguments["slots"] or (),
            seconds=arguments["time"],
            timeout_s=arguments["timeout"],
            watched=Path.cwd() if watches else None,
            accept_change=arguments["accept_change"],
            cluster=cluster,
        )
        yield settings, on_progress, warn


def check_all_is_there(arguments: Arguments, needed: Mapping[str, str]) -> None:
    """Refuse a command line that lacks something; the error lists all of it."""
    words: tuple[str, ...] = arguments["words"]
    training: str | None = arguments["training"]
    if words and training:
        must = "A search must have one training: a command behind --, or a function."
        got = f"{training} and {shlex.join(words)}"
        raise UsageError(must, got, f"Leave out {training}.")
    # A command prints its loss under a name; a function returns it.
    needed = needed if training else {**needed, "metric": "val_loss"}
    lacks = {f"--{name}": each for name, each in needed.items() if not arguments[name]}
    named, line = list(lacks), [f"{option} {lacks[option]}" for option in lacks]
    if not words and not training:
        named.append("a training")
        line.append("-- python train.py --weight-decay {weight_decay} --seed {seed}")
    if named:
        must = f"A search must have {listed(named)}."
        raise UsageError(must, "none", f"Write {' '.join(line)}.")


def search_from(arguments: Arguments) -> "SearchPlan":
    """Return the search that the arguments of a command describe."""
    from dwindle.finding.metric import Metric
    from dwindle.finding.search import search_of
    from dwindle.finding.unit import Unit

    check_all_is_there(arguments, NEEDED)
    run = WrittenFacts.from_arguments(arguments).run("dwindle find")
    unit = Unit.from_names(arguments["knob"], arguments["as"], run)
    metric = Metric(
        text=arguments["metric"] or "loss",
        take=arguments["take"] or "last",
        maximize=direction_of(arguments),
    )
    limits = {
        name: arguments[name] for name in ("trainings", "within") if arguments[name]
    }
    return search_of(
        train=arguments["training"] or arguments["words"],
        metric=metric,
        keep_out=arguments["keep_out"],
        unit=unit,
        low=arguments["low"],
        high=arguments["high"],
        guess=arguments["guess"],
        scale=arguments["scale"],
        **limits,
    )


def store_named_after(words: Sequence[str], what: str) -> Path:
    """Return the store, in this folder, of a training that names none."""
    from dwindle.finding.command import script_of

    # Of module:function, the module.
    stem = Path(script_of(words)).stem.partition(":")[0].rpartition(".")[2]
    return Path(f"{stem or 'my'}-{what}.db")


def at_most(most: int, usual: tuple[int, int]) -> str:
    """Return how many trainings there may be, and how many there are usually.

    Example:
        >>> at_most(25, (16, 27)), at_most(9, (16, 27))
        ('25 trainings; 16 to 25 are usual', '9 trainings')

    """
    few, many = usual
    ends = f"; {few} to {min(many, most)} are usual" if few < most else ""
    return f"{most} trainings{ends}"


def first_training(search: "SearchPlan") -> str:
    """Return the first training of a search as a line to type."""
    from dwindle.finding.command import CommandRecipe, typed
    from dwindle.finding.driver import first_round

    spec, recipe = search.spec, search.recipe
    values = {
        "weight_decay": first_round(search)[0].typed,
        "seed": "0",
        **{name: typed(value) for name, value in spec.scale.items()},
    }
    if isinstance(recipe, CommandRecipe):
        return shlex.join(recipe.filled(values))
    given = [f"{k}={v}" for k, v in values.items() if k != "seed" or recipe.has_seed]
    return f"{spec.name}({', '.join(given)})"


def _print_plan(search: "SearchPlan", path: Path, *, as_json: bool) -> None:
    from dwindle.finding.driver import first_round

    spec, unit, training = search.spec, search.unit, first_training(search)
    trainings = first_round(search)
    typed = [float(each.typed) for each in trainings]
    at_knob = [unit.number_from_x(each.x) for each in trainings]
    plan: dict[str, object] = {"first": typed, "typed": unit.typed.name}
    plan |= {"knob": unit.knob.name, "first_at_knob": at_knob}
    plan |= {"store": str(path), "trainings": spec.trainings}
    first = ", ".join(map(number, typed))
    in_unit = f"{unit.knob.name} {', '.join(map(number, at_knob))}"
    there = f"{unit.typed.symbol} {first} in {unit.typed.name}"
    # One number has no unit where two of them are in use.
    firsts = {"first": in_unit, "typed": there}
    rows = {
        **(firsts if unit.is_converted else {"first": first}),
        "then": "two values near the best for each further seed",
        "until": f"the 90 % interval is within a factor {spec.within:g}",
        "at most": at_most(spec.trainings, USUAL),
        "cost": "known after the first training",
        "kept in": str(path),
    }
    print_plan(plan, rows, training, as_json=as_json)
