-- What the debug information calls each function, with arguments: a JSON list of texts, which tells functions of one name
-- apart where two runs are compared. Runs of before have none.
ALTER TABLE functions ADD COLUMN instances TEXT NOT NULL DEFAULT '[]';
