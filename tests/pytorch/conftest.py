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
def logged(caplog):
    """All that controllers have warned of so far."""
    caplog.set_level(logging.WARNING, "dwindle")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.fixture
def short(monkeypatch):
    """Certificates in half of the time: resumed at fewer steps, no reach of formats."""
    monkeypatch.setattr("dwindle.testing.kit.TRIED", {})
    monkeypatch.setattr("dwindle.testing.scenarios._RESUMED_STEPS", 4)
