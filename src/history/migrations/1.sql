-- Figures are JSON objects: {"allocated": {"bytes": 1, "standard_error": 0.0}, "count": 1, ...}.
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    saved_unix_s INTEGER NOT NULL,
    commit_id TEXT NOT NULL,
    dirty INTEGER NOT NULL,
    started_unix_ns INTEGER NOT NULL,
    program TEXT NOT NULL,
    pid INTEGER NOT NULL,
    state TEXT NOT NULL,
    duration_ns INTEGER NOT NULL,
    allocs INTEGER NOT NULL,
    frees INTEGER NOT NULL,
    reallocs INTEGER NOT NULL,
    alloc_bytes INTEGER NOT NULL,
    freed_bytes INTEGER NOT NULL,
    heap_at_start INTEGER NOT NULL,
    heap INTEGER NOT NULL,
    peak INTEGER NOT NULL,
    peak_ns INTEGER NOT NULL,
    mode TEXT NOT NULL,
    exact INTEGER NOT NULL,
    interval_bytes INTEGER NOT NULL,
    interval_widest INTEGER NOT NULL,
    alloc_samples INTEGER NOT NULL,
    free_samples INTEGER NOT NULL,
    scope TEXT NOT NULL,
    elsewhere TEXT NOT NULL,
    unattributed TEXT NOT NULL,
    -- What was lost and what was wrong, in words: a JSON array.
    faults TEXT NOT NULL
);
CREATE TABLE tags (
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (run, tag)
) WITHOUT ROWID;
CREATE TABLE functions (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    file TEXT NOT NULL,
    name TEXT NOT NULL,
    verified INTEGER NOT NULL,
    figures TEXT NOT NULL
);
CREATE INDEX functions_by_run ON functions (run, name);
CREATE TABLE lines (
    function INTEGER NOT NULL REFERENCES functions (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    number INTEGER,
    contents TEXT,
    -- NULL where nothing was seen.
    figures TEXT,
    PRIMARY KEY (function, position)
) WITHOUT ROWID;
