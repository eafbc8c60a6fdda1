"""One SQLite file per study: every training, and under what conditions it ran."""

# How every SQLite file begins: a store, or a study of Optuna.
SQLITE_HEAD = b"SQLite format 3\0"
# No study file has more bytes; a store or a log may.
LARGEST_STUDY_FILE = 1_000_000
