"""The mathematics of decay: half-lives, schedules, update families, equilibrium."""
