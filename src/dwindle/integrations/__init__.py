"""Integrations: one file per outside system, and each needs only that system."""
