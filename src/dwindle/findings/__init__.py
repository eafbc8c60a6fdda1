"""What the trainings of a study say: every number and sentence that is shown."""
