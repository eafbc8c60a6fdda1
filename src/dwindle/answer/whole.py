"""The whole answer: claims first, then the studies, then what follows from both."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from dwindle.findings.build import findings_of
from dwindle.findings.model import Answer, Claim
from dwindle.store.spec import StudySpec
from dwindle.store.store import read_study
from dwindle.study.backends import Backend
from dwindle.study.driver import StudyProgress, run_study


class Audience(Protocol):
    """What is notified of claims and trainings, while they come."""

    def on_claim(self, title: str, claim: Claim) -> None:
        """Take note of a claim that has been checked."""

    def on_progress(self, progress: StudyProgress) -> None:
        """Take note of how far a study is."""


def check_claims() -> Iterator[tuple[str, Claim]]:
    """Check the claims of question and answer in the order they are made.

    Yields:
        What is checked, in a few words, and the claim with its verdict.

    """
    import torch

    from dwindle.answer.bengio import check_bengio
    from dwindle.answer.convex import check_minibatch
    from dwindle.answer.factor_two import check_factor_two, check_one_tenth_percent
    from dwindle.answer.one_weight import check_layers_and_units, check_normalization

    checks = {
        "the factor 2": check_factor_two,
        "0.1 % per iteration": check_one_tenth_percent,
        "layers and units": check_layers_and_units,
        "dividing by the number of weights": check_normalization,
        "Bengio's minibatch share": check_bengio,
        "the minibatch size": check_minibatch,
    }
    threads = torch.get_num_threads()
    # These networks are so small that a second thread only waits for the first.
    torch.set_num_threads(1)
    try:
        for title, check in checks.items():
            yield title, check()
    finally:
        torch.set_num_threads(threads)


def give_answer(
    studies: Mapping[str, StudySpec],
    folder: Path,
    *,
    backend: Backend,
    audience: Audience,
) -> Answer:
    """Check the claims, train the studies that are not in their stores yet, conclude.

    Args:
        studies: Name of the store file to study, in the order of the verdict.
        folder: Where the stores are; made if there is none.
        backend: Where packs train; it is left open.
        audience: Notified of every claim and of every pack.

    """
    began = time.monotonic()
    claims = []
    for title, claim in check_claims():
        claims.append(claim)
        audience.on_claim(title, claim)
    folder.mkdir(parents=True, exist_ok=True)
    for name, spec in studies.items():
        run_study(spec, folder / name, backend, audience.on_progress)
    findings = tuple(findings_of(read_study(folder / name)) for name in studies)
    return Answer(
        claims=tuple(claims),
        studies=findings,
        seconds=time.monotonic() - began,
    )
