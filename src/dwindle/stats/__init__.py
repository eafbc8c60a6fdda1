"""Statistics of few seeds: arrays in, numbers out; no rules, no studies, no torch."""
