"""Results that somebody already has: read, sorted into cells, and answered from."""
