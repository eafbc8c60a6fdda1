"""The whole answer: claims first, then the studies, then what follows from both."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from dwindle.answer.claims import check_claims
from dwindle.findings.build import read_findings
from dwindle.findings.model import Answer, Claim
from dwindle.store.spec import StudySpec
from dwindle.study.backends import Backend
from dwindle.study.driver import Progress, run_study


class Audience(Protocol):
    """Who is told how the answer comes along, while it does."""

    def on_claim(self, title: str, claim: Claim) -> None:
        """Take note of a claim that has been checked."""

    def on_progress(self, progress: Progress) -> None:
        """Take note of how far a study is."""


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
        audience: Told of every claim and of every pack.

    Returns:
        Everything that is shown.

    Raises:
        StudyStoppedError: On Ctrl-C; what is trained is kept, calling again goes on.
        StoreError: If a store cannot be used.

    """
    began = time.monotonic()
    claims = []
    for title, claim in check_claims():
        claims.append(claim)
        audience.on_claim(title, claim)
    folder.mkdir(parents=True, exist_ok=True)
    for name, spec in studies.items():
        run_study(spec, folder / name, backend, audience.on_progress)
    findings = tuple(read_findings(folder / name) for name in studies)
    return Answer(
        claims=tuple(claims),
        studies=findings,
        seconds=time.monotonic() - began,
    )
