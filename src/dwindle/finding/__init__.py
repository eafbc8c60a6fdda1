"""A user's own training: run it, read its loss, find its best decay."""
