"""How decay_groups decides, parameter by parameter, and shows it."""
