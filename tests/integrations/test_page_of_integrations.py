"""The table of tested properties in docs/integrations.md: each cell has its test."""

import ast
import re

import pytest
from architecture.source import ROOT

PAGE = (ROOT / "docs/integrations.md").read_text("utf-8")
LOOPS = ("transformers", "Lightning", "Accelerate")
COLUMNS = (*LOOPS, "optax", "Keras")
TORCH = "frameworks/run_integrations_torch.py"
JAX = "frameworks/run_integrations_jax.py"
KERAS = "frameworks/on_keras.py"
KERAS_REFUSALS = "frameworks/on_keras_refusals.py"
TRAINERS = "integrations/test_missing_trainers.py"
ABSENT = (TRAINERS, "test_an_absent_library_gives_the_install_line")


def _row(torch, jax=None, keras=None):
    """The test of each column: those of torch share theirs."""
    found = dict.fromkeys(LOOPS, (TORCH, torch)) if torch else {}
    found |= {"optax": (JAX, jax)} if jax else {}
    return found | ({"Keras": (KERAS, keras)} if keras else {})


BIASES = _row(
    "test_biases_stay_where_a_trainer_put_them_apart",
    "test_without_a_mask_kernels_decay_and_nothing_else",
) | {"Keras": (KERAS_REFUSALS, "test_kernels_decay_and_nothing_else")}
del BIASES["Accelerate"]
FACTS = "test_a_missing_fact_is_named_by_its_argument"
# the beginning of a row: what proves its cells
ROWS = {
    "weight with zero gradient": _row(
        "test_on_every_clock",
        "test_in_single_precision_too",
        "test_a_kernel_decays_exactly_under_every_optimizer",
    ),
    "on every clock": _row(
        "test_on_every_clock", "test_every_clock", "test_on_every_clock"
    ),
    "`constant` and": _row(
        "test_on_every_schedule",
        "test_in_single_precision_too",
        "test_the_decay_goes_with_the_lr_of_each_step",
    ),
    "warm-up": _row(
        "test_warm_up_from_zero",
        "test_in_single_precision_too",
        "test_the_decay_goes_with_the_lr_of_each_step",
    ),
    "gathered": _row(
        "test_accumulation",
        "test_gathered_steps_count_once",
        "test_gathered_batches_are_one_update",
    ),
    "skipped": _row(
        "test_steps_that_overflowed",
        "test_skipped_steps_do_not_decay",
        "test_skipped_steps_do_not_decay",
    ),
    "saved and": _row(
        "test_resumed_in_the_middle",
        "test_a_run_goes_on_from_its_state",
        "test_an_interrupted_run_goes_on_as_if_it_had_not_been",
    ),
    "biases": BIASES,
    "16 bits": _row(
        "test_half_precision_under_autocast",
        "test_bfloat16_holds_a_short_half_life",
    )
    | {"Keras": (KERAS_REFUSALS, "test_what_16_bits_cannot_hold_is_logged")},
    "a missing fact": _row("test_a_stream_has_no_epoch")
    | {"optax": (JAX, FACTS), "Keras": (KERAS_REFUSALS, FACTS)},
    "a given fact": _row("test_the_user_is_believed"),
    "the library": {
        **dict.fromkeys(("transformers", "Lightning", "optax", "Keras"), ABSENT),
        "Accelerate": (TRAINERS, "test_accelerate_is_imported_when_it_is_called"),
    },
    "a penalty": _row("test_a_penalty"),
    "two processes": _row("test_two_processes"),
    "DeepSpeed": {},
    "a GPU": {},
}


def _cells():
    """Each row of the page's table: its title, and its cells by column."""
    lines = PAGE.partition("## What is tested")[2].splitlines()
    table = [line for line in lines if line.startswith("| ")]
    head, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in table)
    assert tuple(head[1:]) == COLUMNS
    return {titles: dict(zip(COLUMNS, cells, strict=True)) for titles, *cells in rows}


def _tests_of(path):
    tree = ast.parse((ROOT / "tests" / path).read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_page_has_these_rows():
    """No row is without its tests here, and none is forgotten on the page."""
    titles = list(_cells())
    assert len(titles) == len(ROWS)
    for begins, row in zip(ROWS, titles, strict=True):
        assert row.startswith(begins)


@pytest.mark.parametrize("begins", ROWS)
def test_each_cell_is_true(begins):
    """Tested where there is a test of that name in a file that the page names."""
    (cells,) = (cells for row, cells in _cells().items() if row.startswith(begins))
    for column, cell in cells.items():
        path, test = ROWS[begins].get(column, (None, None))
        if path is None:
            assert re.fullmatch("– .{6,}", cell), (column, cell)
        else:
            assert cell == "tested"
            assert test in _tests_of(path)
            assert path.rpartition("/")[2] in PAGE
