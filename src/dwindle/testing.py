"""Conformance kits: what anybody's optimizer must do for our tools to hold it."""
