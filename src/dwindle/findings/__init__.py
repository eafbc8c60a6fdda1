"""What the trainings of a study show: every number and sentence of a report."""
