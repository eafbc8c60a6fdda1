"""What a result looks like in Python: one line, a short text, a table in a notebook."""

import io

import pytest
from rich.console import Console

from dwindle.decay.convert import convert
from dwindle.decay.explain import explain
from dwindle.decay.rescale import rescale
from dwindle.decay.run import Run

RUN = Run(lr=1e-3, batch_size=100, dataset_size=50_000, epochs=20)
RESULTS = {
    "explanation": explain(0.1, "torch.optim.AdamW", run=RUN),
    "without facts": explain(0.1, "torch.optim.AdamW"),
    "without a rate": explain(0.1, "optax.lamb", run=RUN),
    "conversion": convert(5e-4, "keras.regularizers.L2", to="torch.optim.SGD"),
    "layers": convert(
        1e-3,
        "question.l2:layer-mean",
        to="torch.optim.SGD",
        run=Run(units=(784, 256, 10)),
    ),
    "rescaling": rescale(
        0.1, "torch.optim.AdamW", before=RUN, after=Run(lr=1e-3, batch_size=200)
    ),
}


@pytest.mark.parametrize("name", RESULTS)
def test_the_representation_is_one_short_line(name):
    """What a prompt echoes is a line, not a page of fields."""
    shown = repr(RESULTS[name])
    assert len(shown) < 200
    assert "\n" not in shown
    assert shown.startswith("<")


@pytest.mark.parametrize("name", RESULTS)
def test_the_text_is_short_and_has_no_rounding_noise(name):
    """What print shows has the result first, and no number of seventeen digits."""
    result = RESULTS[name]
    lines = str(result).splitlines()
    assert lines[0].startswith(result.knob)
    assert 2 <= len(lines) <= 30
    assert "99999999" not in str(result)
    assert "dataclass" not in str(result)


@pytest.mark.parametrize("name", RESULTS)
def test_a_terminal_and_a_notebook_show_the_same_facts(name):
    """Rich prints the text as it is, brackets too; HTML has each text, escaped."""
    result = RESULTS[name]
    out = io.StringIO()
    Console(file=out, width=10_000, color_system=None).print(result)
    assert out.getvalue().rstrip() == str(result)
    page = result._repr_html_()
    title = str(result).splitlines()[0]
    assert title in page
    assert page.count("<tr>") == page.count("</tr>") > 0
    assert "<script" not in page


def test_texts_of_strangers_are_escaped():
    """What came as text reaches a notebook as text, and a terminal without styles."""
    run = Run(lr=" 1e-3 ", schedule="cosine", steps="1e2")
    told = explain(0.1, "torch.AdamW", run=run)
    assert "&#x27; 1e-3 &#x27;" in told._repr_html_()
    assert r"\[" not in str(told)


def test_what_is_shown_is_what_was_computed():
    """Half-life, what the run keeps, and the number to type stand in the texts."""
    told = str(RESULTS["explanation"])
    assert "6,931 steps · 693,113 examples · 13.9 epochs · 69.3% of the run" in told
    assert "the run keeps      36.8%" in told
    assert "Give --lr" in str(RESULTS["without facts"])
    assert "= 0.0005 → torch.optim.SGD = 0.001" in str(RESULTS["conversion"])
    assert "layer 0, 784 × 256" in str(RESULTS["layers"])
    assert "half-life-epochs" in str(RESULTS["rescaling"])
