"""One SQLite file per study: every training, and under what conditions it ran."""
