"""Copies of an optimizer on weights of their own; the original stays as it is."""
