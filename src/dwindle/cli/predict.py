"""dwindle predict: the best decay of a scale, from a store of finished trainings."""

from dwindle.cli.find import read_scale
from dwindle.cli.options import Option
from dwindle.cli.output import print_json, stdout

OPTIONS = (
    Option("STORE", "the store of a tune, a find or a study", required=True),
    Option("--target", "the scale: width=1024; that of the tune", "X=N,..", read_scale),
)


def command(*, store: str, target: dict[str, float] | None, as_json: bool) -> None:
    """Predict the best decay of a scale that nobody trained, by the law of others.

    It reads a store of tune, of find at several scales, or of a study. Nothing is
    trained, imported or started.
    """
    from dwindle.tuning.face import predict

    tuned = predict(store, target=target)
    if as_json:
        print_json(tuned.as_dict())
    else:
        stdout().print(tuned, crop=False)
