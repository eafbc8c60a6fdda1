"""Quantities of scale of a cell, and how hard a normalized λ bears on its weights."""

from dwindle.decay.penalties import layer_coefficients
from dwindle.store.records import Scale

Shapes = tuple[tuple[int, int], ...]


def quantities(scale: Scale, shapes: Shapes) -> dict[str, float]:
    """Return every quantity of scale that a rule may use.

    The depth is that of the network as built: a problem without hidden layers has 0.

    Example:
        >>> scale = Scale(
        ...     width=8, depth=1, batch_size=32, dataset_size=100, epochs=3, lr=0.1
        ... )
        >>> found = quantities(scale, ((64, 8), (8, 10)))
        >>> found["weights"], found["steps"]
        (592.0, 12.0)

    """
    return {
        "width": float(scale.width),
        "depth": float(len(shapes) - 1),
        "weights": float(sum(fan_in * fan_out for fan_in, fan_out in shapes)),
        "batch_size": float(scale.batch_size),
        "dataset_size": float(scale.dataset_size),
        "epochs": float(scale.epochs),
        "steps": float(scale.steps),
        "lr": scale.lr,
    }


def speakable(scale: dict[str, float]) -> dict[str, float]:
    """Return the quantities that a rule can take a ratio of.

    A network without hidden layers has no width, and no ratio has a depth of 0 in it.

    Example:
        >>> speakable({"width": 64.0, "depth": 0.0, "lr": 0.1})
        {'lr': 0.1}

    """
    absent = () if scale.get("depth", 1) else ("width", "depth")
    return {name: value for name, value in scale.items() if name not in absent}


def mean_coefficient(normalization: str, shapes: Shapes) -> float:
    """Return the factor between a study's λ and the λ that an average weight feels.

    A rule speaks of the λ at the weights, a normalized study of the λ before its
    normalization. Between the two stands the layers' coefficient, averaged over all
    weights: ``Σ_l n_l c_l / Σ_l n_l`` with n_l the weights of a layer. For the asker's
    normalization that is exactly 1/(number of weights), so the asker's rule predicts
    that the λ of such a study stays, as it should.

    Example:
        >>> mean_coefficient("layer-mean", ((4, 8), (8, 2)))
        0.020833333333333332
        >>> mean_coefficient("none", ((4, 8), (8, 2)))
        1.0

    """
    sizes = [fan_in * fan_out for fan_in, fan_out in shapes]
    coefficients = layer_coefficients(normalization, shapes)
    bearing = sum(n * c for n, c in zip(sizes, coefficients, strict=True))
    return bearing / sum(sizes)
