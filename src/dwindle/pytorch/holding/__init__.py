"""How a half-life is held: plans, the two hooks, rehearsal, saved state."""
