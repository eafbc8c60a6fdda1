"""A live line per study on a terminal: trainings, what went wrong, time left."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dwindle.study.driver import OnProgress, StudyProgress
from dwindle.wording import counted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Task
    from rich.text import Text


def progress_text(progress: StudyProgress) -> str:
    """Return how far a study is as a text."""
    counts = {"diverged": progress.diverged, "failed": progress.errors}
    wrong = "".join(f", {count} {how}" for how, count in counts.items() if count)
    planned = counted(progress.planned, "training")
    return f"{progress.trained} of {planned}{wrong}"


@contextmanager
def shown_on(console: "Console") -> Generator[OnProgress, None, None]:
    """Give a function that shows the progress of studies, one line for each.

    Where the console is no terminal nothing is shown: a log has no use for a bar.
    """
    if not console.is_terminal:
        yield lambda _: None
        return
    from rich import progress as bars

    class TimeLeft(bars.ProgressColumn):
        """The remaining time, computed anew at every refresh."""

        def render(self, task: "Task") -> "Text":
            """Return the time left of a line."""
            from rich.text import Text

            latest = task.fields["latest"]
            return Text(time_left(latest), style="progress.remaining")

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(bar_width=30),
        bars.TextColumn("{task.fields[text]}", style="dim"),
        TimeLeft(),
    )
    with bars.Progress(*columns, console=console, transient=True) as live:
        lines: dict[str, bars.TaskID] = {}

        def show(latest: StudyProgress) -> None:
            text, name = progress_text(latest), latest.study
            if name not in lines:
                lines[name] = live.add_task(name, total=1, text=text, latest=latest)
            done = latest.estimate.share_done
            live.update(lines[name], completed=done, text=text, latest=latest)

        yield show


def time_left(progress: StudyProgress) -> str:
    """Return the time left as ``1:05 left``; nothing before it is known."""
    seconds = progress.seconds_left()
    if seconds is None or progress.trained == progress.planned:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} left"
