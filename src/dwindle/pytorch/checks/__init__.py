"""The checks of an audit: facts of a torch program in, findings out."""
