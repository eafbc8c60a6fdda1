"""Results draw themselves alike in a terminal and in a notebook."""

import io

from rich.console import Console

from dwindle.decay.convert import convert
from dwindle.decay.explain import explain
from dwindle.decay.rescale import rescale
from dwindle.decay.run import Run
from dwindle.show import WIDTH

RUN = Run(lr=1e-3, batch_size=100, dataset_size=50_000, epochs=20)


def test_a_terminal_and_a_notebook_show_the_same_facts():
    """Rich prints the text as it is, brackets too; HTML has every fact."""
    for result in (
        explain(0.1, "torch.optim.AdamW", run=RUN),
        convert(5e-4, "keras.regularizers.L2", to="torch.optim.SGD"),
        rescale(0.1, "torch.optim.AdamW", before=RUN, after=Run(batch_size=200)),
    ):
        out = io.StringIO()
        Console(file=out, width=WIDTH, color_system=None).print(result)
        printed = [line.rstrip() for line in out.getvalue().splitlines()]
        assert printed == str(result).splitlines()
        page = result._repr_html_()
        assert str(result).splitlines()[0].strip() in page
        assert page.count("<tr>") == page.count("</tr>") > 0


def test_texts_of_strangers_are_escaped():
    """What came as text reaches a notebook as text, and a terminal without styles."""
    run = Run(lr=" 1e-3 ", schedule="cosine", steps="1e2")
    shown = explain(0.1, "torch.AdamW", run=run)
    assert "&#x27; 1e-3 &#x27;" in shown._repr_html_()
    assert r"\[" not in str(shown)


def test_an_infinite_half_life_is_inf():
    """An infinite half-life is not a missing one."""
    never = convert(0.0, "optax.adamw", to="half-life:steps", run=RUN)
    assert str(never).splitlines()[0].endswith("half-life:steps = inf")
