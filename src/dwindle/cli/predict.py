"""dwindle predict: the best decay of a scale, from a store of finished trainings."""

from pathlib import Path

from dwindle.cli.find import read_scale
from dwindle.cli.options import Option
from dwindle.cli.report import (
    FORCE,
    check_outputs,
    files_of_store,
    origin_of,
    show_own,
)

OPTIONS = (
    Option("STORE", "the store of a tune, a find or a study", required=True),
    Option("--target", "the scale: width=1024; that of the tune", "X=N,..", read_scale),
    Option("--html", "write it as one page, too", "PAGE"),
    Option("--png", "write the law as a picture, too", "PICTURE"),
    FORCE,
)


def command(  # noqa: PLR0913, one argument per option
    *,
    store: str,
    target: dict[str, float] | None,
    html: str | None,
    png: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Predict the best decay of a scale that nobody trained, by the law of others.

    It reads a store of tune, of find at several scales, or of a study. Nothing is
    trained, imported or started.
    """
    from dwindle.tuning.face import predict

    check_outputs(html, png, force=force, inputs=files_of_store(Path(store)))
    tuned = predict(store, target=target)
    at = ",".join(f"{name}={value!r}" for name, value in (target or {}).items())
    asked = ("--target", at) if at else ()
    origin = origin_of("predict", store, *asked, "--html", html)
    show_own(tuned, origin, html=html, png=png, force=force, as_json=as_json)
