"""Findings as a page, a picture and tables of the terminal."""
