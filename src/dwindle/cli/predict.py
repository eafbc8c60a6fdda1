"""dwindle predict: the best decay of a scale, from a store of finished trainings."""

from pathlib import Path
from typing import Any

from dwindle.cli.find import read_scale
from dwindle.cli.options import Option
from dwindle.cli.report import OUTPUTS, Outputs, files_of_store, of_own

OPTIONS = (
    Option("STORE", "the store of a tune, a find or a study", required=True),
    Option("--target", "the scale: width=1024; that of the tune", "X=N,..", read_scale),
    *OUTPUTS,
)


def command(
    *, store: str, target: dict[str, float] | None, as_json: bool, **arguments: Any
) -> None:
    """Predict the best decay of a scale that nobody trained, by the law of others.

    It reads a store of tune, of find at several scales, or of a study. Nothing is
    trained, imported or started.
    """
    from dwindle.tuning.face import predict

    to = Outputs.checked(arguments, files_of_store(Path(store)), as_json=as_json)
    tuned = predict(store, target=target)
    at = ",".join(f"{name}={value!r}" for name, value in (target or {}).items())
    where = ("--target", at) if at else ()
    to.show(of_own(tuned), "predict", store, *where, "--html", to.html)
