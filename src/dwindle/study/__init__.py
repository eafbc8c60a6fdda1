"""TODO: first line of this floor."""
