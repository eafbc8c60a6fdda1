"""Fixtures that the tests of torch's rooms share."""

import logging

import pytest


@pytest.fixture
def quiet():
    """Controllers warn of what they change; here that is what is wanted."""
    logging.getLogger("dwindle").setLevel(logging.ERROR)
    yield
    logging.getLogger("dwindle").setLevel(logging.NOTSET)


@pytest.fixture
def no_reach(monkeypatch):
    """Certificates without what formats allow: a third of their time, no verdict."""
    monkeypatch.setattr("dwindle.testing.kit.TRIED", {})
