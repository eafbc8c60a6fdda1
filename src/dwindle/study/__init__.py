"""Studies: many trainings at once, planned, resumed, and measured."""
