#!/usr/bin/env bash
# SQLite 3.51.0, by apsw 3.51.0.0: after another connection changed the schema, its trace tells the end of a statement first.
# A prepared SELECT is told as: begins, ends, gives rows, ends; its first end comes before its rows, and it begins only once.
# One would have guessed begins, rows, ends; or, as it is prepared and run again, a second beginning.
# Who takes the first end for the end, as #[query_profiler] did, reports a scan of any length as 0 rows in no time.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check apsw==3.51.0.0
"$folder/venv/bin/python" - "$folder/a.db" <<'PYTHON'
import sys
import apsw

db = apsw.Connection(sys.argv[1])
db.execute("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)").fetchall()
select = "SELECT a FROM t WHERE a > 0"
# Prepared here, and kept by apsw for the next time.
assert len(db.execute(select).fetchall()) == 2
told = []
names = {apsw.SQLITE_TRACE_STMT: "begins", apsw.SQLITE_TRACE_ROW: "row", apsw.SQLITE_TRACE_PROFILE: "ends"}

def tell(event):
    if event.get("sql", select) == select:
        told.append(names[event["code"]])

db.trace_v2(apsw.SQLITE_TRACE_STMT | apsw.SQLITE_TRACE_ROW | apsw.SQLITE_TRACE_PROFILE, tell)
apsw.Connection(sys.argv[1]).execute("CREATE TABLE other (a)").fetchall()
assert len(db.execute(select).fetchall()) == 2
print(told)
assert told[:2] == ["begins", "ends"] and told.count("row") >= 2 and told[-1] == "ends" and told.count("begins") == 1
PYTHON
