"""Thirty kinds of results: grids and searches, paired or not, tidy or not."""

from fitting.planted import Planted

KINDS = {
    "grid of 13, 5 seeds, zero": Planted(seeds=5, points=13, zero=True),
    "grid of 13, 5 seeds": Planted(seeds=5, points=13),
    "grid of 9, 4 seeds, zero": Planted(seeds=4, points=9, zero=True),
    "grid of 9, 4 seeds": Planted(seeds=4, points=9),
    "grid of 7, 8 seeds, zero": Planted(seeds=8, points=7, zero=True),
    "grid of 7, 8 seeds": Planted(seeds=8, points=7),
    "grid of 5, 5 seeds": Planted(seeds=5, points=5),
    "grid of 5, 10 seeds, zero": Planted(seeds=10, points=5, zero=True),
    "smooth deviations, 5 seeds, zero": Planted(
        seeds=5, points=13, zero=True, apart=0.03, fresh=0.01
    ),
    "smooth deviations, 5 seeds": Planted(seeds=5, points=13, apart=0.03, fresh=0.01),
    "smooth deviations, 8 seeds": Planted(seeds=8, points=9, apart=0.03, fresh=0.01),
    "heavy tails, 6 seeds, zero": Planted(seeds=6, points=9, zero=True, heavy=True),
    "heavy tails, 6 seeds": Planted(seeds=6, points=9, heavy=True),
    "loud, 8 seeds, zero": Planted(seeds=8, points=9, zero=True, level=0.3, fresh=0.1),
    "quiet levels, 5 seeds": Planted(seeds=5, points=9, level=0.0),
    "two decades, 5 seeds": Planted(seeds=5, points=7, decades=2),
    "six decades, 5 seeds, zero": Planted(seeds=5, points=13, decades=6, zero=True),
    "a tenth missing, 6 seeds, zero": Planted(
        seeds=6, points=13, zero=True, missing=0.1
    ),
    "a fifth missing, 8 seeds": Planted(seeds=8, points=9, missing=0.2),
    "half missing, 12 seeds": Planted(seeds=12, points=9, missing=0.5),
    "accuracies, 5 seeds, zero": Planted(seeds=5, points=9, zero=True, score=True),
    "accuracies, 6 seeds": Planted(seeds=6, points=9, score=True),
    "rewards around zero, 6 seeds": Planted(seeds=6, points=9, own_scale=True),
    "one seed each, 9 λ": Planted(seeds=1, points=9, paired=False, has_seed=False),
    "one seed each, 13 λ": Planted(seeds=1, points=13, paired=False),
    "random search of 30": Planted(
        seeds=1, points=30, paired=False, random=True, has_seed=False
    ),
    "random search of 100, accuracies": Planted(
        seeds=1, points=100, paired=False, random=True, score=True
    ),
    "3 fresh seeds each, 7 λ": Planted(seeds=3, points=7, paired=False),
    "5 fresh seeds each, 5 λ, zero": Planted(
        seeds=5, points=5, paired=False, zero=True
    ),
    "3 fresh seeds each, 9 λ, zero, no seed column": Planted(
        seeds=3, points=9, paired=False, zero=True, has_seed=False
    ),
}
