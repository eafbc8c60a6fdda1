"""What a run tells of itself in the header of an audit."""

from dwindle.decay.run import Run
from dwindle.errors import RangeError


def facts_of_run(run: Run) -> dict[str, str]:
    """Return what a run tells of its scale and schedule, name by name, in words.

    Example:
        >>> facts_of_run(Run(batch_size=256, dataset_size=1_281_167))
        {'batch_size': '256', 'dataset_size': '1,281,167'}

    """
    told = {name: _shown(value) for name, value in run.quantities().items()}
    shape = run.schedule.shape
    return told | ({} if shape == "constant" else {"schedule": shape})


def moving(run: Run) -> Run:
    """Return a run in which something moves.

    Raises:
        RangeError: If its lr is 0.

    """
    if run.lr == 0:
        remedy = "Write the lr at its peak; at 0 no weight moves and nothing decays."
        raise RangeError("lr", run.lr, "above 0 for an audit of its decay", remedy)
    return run


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:.6g}"
