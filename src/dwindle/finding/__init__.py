"""A training of one's own: run it, read what comes out, find its best decay."""
