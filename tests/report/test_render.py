"""Drawings stand in a page under their own ids, as text, the same twice."""

import builtins

import pytest
from report import synthetic

from dwindle.errors import MissingLibraryError
from dwindle.report import figures, render

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="1">{}</svg>'


def test_ids_belong_to_their_figure() -> None:
    """Two figures of a page never share a clip path, however the converter counts."""
    drawn = SVG.format(
        '<clipPath id="clip7"><rect/></clipPath><g clip-path="url(#clip7)"/>'
    )
    one = render.inline_svg(drawn, name="one", alt="")
    two = render.inline_svg(drawn.replace("clip7", "clip9"), name="two", alt="")
    assert 'id="one-0"' in one
    assert 'clip-path="url(#one-0)"' in one
    assert two == one.replace("one-0", "two-0")


def test_alternative_text_is_escaped() -> None:
    """What a figure shows is said in words, and words cannot leave their quotes."""
    inline = render.inline_svg(SVG.format(""), name="f", alt='a "b" <c>')
    assert 'role="img"' in inline
    assert 'aria-label="a &quot;b&quot; &lt;c&gt;"' in inline


def test_a_figure_is_text_and_the_same_twice() -> None:
    """Letters stay letters, and equal findings give equal bytes."""
    spec = figures.terms_panel(synthetic.axis("depth"))
    first = render.svg(spec, name="f", alt="terms")
    assert first == render.svg(spec, name="f", alt="terms")
    assert ">penalty</text>" in first
    assert "var(--accent)" in first


def test_a_missing_converter_names_the_install_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without vl-convert the error says what to install."""
    real = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "vl_convert":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingLibraryError) as raised:
        render.png({})
    assert raised.value.extra == "report"
