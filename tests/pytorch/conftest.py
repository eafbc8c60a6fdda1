"""Fixtures that the tests of torch's rooms share."""

import logging

import pytest


@pytest.fixture
def quiet():
    """Controllers warn of what they change; here that is what is wanted."""
    logging.getLogger("dwindle").setLevel(logging.ERROR)
    yield
    logging.getLogger("dwindle").setLevel(logging.NOTSET)
