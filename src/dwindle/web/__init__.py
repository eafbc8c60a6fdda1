"""The calculator: one static page that runs this package in a browser."""
