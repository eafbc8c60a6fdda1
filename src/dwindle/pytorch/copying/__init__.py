"""Copies of an optimizer on separate weights; the original stays as it is."""
