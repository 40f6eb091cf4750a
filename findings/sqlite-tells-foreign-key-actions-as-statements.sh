#!/usr/bin/env bash
# SQLite 3.51.0, by apsw 3.51.0.0: its trace tells a statement once more for each action of a foreign key.
# A DELETE of three parents whose children go with them is told four times as beginning, under its own text, and once as ending.
# One would have guessed that it is told as a step of a trigger is, which is marked as such.
# Who counts queries by the trace, as #[query_profiler] does, counts one DELETE as four.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check apsw==3.51.0.0
"$folder/venv/bin/python" - <<'PYTHON'
import apsw

db = apsw.Connection(":memory:")
db.execute("""
    PRAGMA foreign_keys = ON;
    CREATE TABLE parents (id INTEGER PRIMARY KEY);
    CREATE TABLE children (parent REFERENCES parents ON DELETE CASCADE);
    INSERT INTO parents VALUES (1), (2), (3);
    INSERT INTO children SELECT id FROM parents;
    CREATE TABLE log (id);
    CREATE TRIGGER steps AFTER INSERT ON log BEGIN DELETE FROM children; END;
""").fetchall()
begun, ended = [], []

def tell(event):
    if event["code"] == apsw.SQLITE_TRACE_STMT:
        begun.append((event["sql"], event["trigger"]))
    else:
        ended.append(event["sql"])

db.trace_v2(apsw.SQLITE_TRACE_STMT | apsw.SQLITE_TRACE_PROFILE, tell)
db.execute("DELETE FROM parents").fetchall()
print("foreign keys: begun", begun, "ended", ended)
assert begun == [("DELETE FROM parents", False)] * 4 and len(ended) == 1
begun.clear()
db.execute("INSERT INTO log VALUES (1)").fetchall()
print("a trigger: begun", begun)
assert [is_step for _, is_step in begun].count(False) == 1
PYTHON
