"""Audit: what a training decays and what its author thinks; the part without torch."""
