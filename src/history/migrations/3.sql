-- What was done in each context. Runs of before have none.
CREATE TABLE contexts (
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    -- NULL: no context of the key was in force.
    value TEXT,
    figures TEXT NOT NULL
);
CREATE INDEX contexts_by_run ON contexts (run, key);
