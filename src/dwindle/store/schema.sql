-- The tables of a store; dwindle.store.connect has their history.

-- What the file is about; one row. All are STRICT, since SQLite would else keep a
-- text in a column of numbers.
CREATE TABLE study (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    spec       TEXT NOT NULL,     -- StudySpec as JSON
    conditions TEXT NOT NULL,     -- Conditions as JSON
    problem    TEXT NOT NULL,     -- ProblemFacts as JSON
    planned    TEXT NOT NULL,     -- digest of the keys in table planned
    complete   INTEGER NOT NULL CHECK (complete IN (0, 1)),
    hash       TEXT NOT NULL      -- over all other columns and the hashes of all packs
) STRICT;

-- The trainings that the study consists of now; results of an earlier, other plan
-- stay in the file but are not read.
CREATE TABLE planned (
    key TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- One transaction: trainings that ran together and were committed together.
CREATE TABLE pack (
    number  INTEGER PRIMARY KEY,  -- 1, 2, 3, ... in order of commit
    seconds REAL NOT NULL,        -- time of one worker
    elapsed REAL NOT NULL,        -- wall time since the commit before, or the start
    hash    TEXT NOT NULL         -- over all other columns and all rows of the pack
) STRICT;

-- One training. A number that does not exist is NULL and the status says why: NaN
-- cannot be stored, so a loss is missing exactly when the status is not ok.
CREATE TABLE trial (
    key              TEXT PRIMARY KEY,  -- trial_key(): what was trained, and with what
    pack             INTEGER NOT NULL REFERENCES pack (number),
    trial            TEXT NOT NULL,     -- Trial as JSON, but for its scale
    scale            TEXT NOT NULL,     -- JSON: number by name, any names
    status           TEXT NOT NULL CHECK (status IN ('ok', 'diverged', 'error')),
    steps            INTEGER NOT NULL,
    seconds          REAL NOT NULL,
    loss             REAL CHECK ((loss IS NULL) = (status <> 'ok')),
    accuracy         REAL,
    train_loss       REAL,
    sum_of_squares   REAL,
    penalty          REAL,
    layer_rms        TEXT NOT NULL,     -- JSON list
    diverged_at_step INTEGER,
    last_finite_loss REAL,
    error            TEXT
) STRICT;
