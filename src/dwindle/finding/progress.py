"""A live line for a search on a terminal: trainings, what went wrong, time left."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING

from dwindle.finding.driver import OnProgress, Progress

if TYPE_CHECKING:
    from rich.console import Console


def progress_text(at: Progress) -> str:
    """Return how far a search is."""
    counts = {"diverged": at.diverged, "failed": at.errors}
    wrong = "".join(f", {count} {word}" for word, count in counts.items() if count)
    text = f"{at.trained} of at most {at.most} trainings{wrong}"
    if at.seconds_each is None or at.seconds_left is None:
        return text
    minutes, rest = divmod(round(at.seconds_left), 60)
    left = f"{minutes}:{rest:02d}"
    if minutes >= 60:  # noqa: PLR2004
        left = f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
    return f"{text}; {at.seconds_each:.3g} s each, at most {left} left"


@contextmanager
def shown_on(console: "Console") -> Generator[OnProgress, None, None]:
    """Yield a function that shows the progress of a search.

    Where the console is no terminal nothing is shown: a log has no use for a bar.
    """
    if not console.is_terminal:
        yield lambda _: None
        return
    from rich import progress as bars

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(bar_width=20),
        bars.TextColumn("{task.fields[text]}", style="dim"),
    )
    with bars.Progress(*columns, console=console, transient=True) as live:
        line = live.add_task("find", total=1, text="")

        def show(at: Progress) -> None:
            live.update(
                line, total=at.most, completed=at.trained, text=progress_text(at)
            )

        yield show


@contextmanager
def shown_here() -> Generator[OnProgress, None, None]:
    """Yield a function that shows progress in a notebook or a terminal, if any."""
    # Not imported: in a notebook IPython is loaded already.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "kernel"):
        from rich.console import Console

        with shown_on(Console(stderr=True)) as show:
            yield show
        return
    from IPython.display import HTML, display

    handle = display(HTML(""), display_id=True)

    def update(at: Progress) -> None:
        bar = f'<progress value="{at.trained}" max="{at.most}"></progress>'
        handle.update(HTML(f"{bar} {escape(progress_text(at))}"))

    try:
        yield update
    finally:  # the bar goes; an error is printed below it
        handle.update(HTML(""))
