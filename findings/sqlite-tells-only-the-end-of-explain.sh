#!/usr/bin/env bash
# SQLite 3.51.0, by apsw 3.51.0.0: its trace tells the end of EXPLAIN and of EXPLAIN QUERY PLAN, but neither their beginning nor their rows.
# One would have guessed that they are told as other statements are, which are prepared and stepped through in the same way.
# Who counts queries as they begin, as #[query_profiler] does, does not see that a program asks for plans.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check apsw==3.51.0.0
"$folder/venv/bin/python" - <<'PYTHON'
import apsw

db = apsw.Connection(":memory:")
db.execute("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)").fetchall()
names = {apsw.SQLITE_TRACE_STMT: "begins", apsw.SQLITE_TRACE_ROW: "row", apsw.SQLITE_TRACE_PROFILE: "ends"}
told = []
db.trace_v2(sum(names), lambda event: told.append(names[event["code"]]))

def told_of(sql):
    told.clear()
    rows = len(db.execute(sql).fetchall())
    print(f"{sql}: {rows} rows, told {told}")
    return list(told)

assert told_of("SELECT a FROM t") == ["begins", "row", "row", "ends"]
assert told_of("EXPLAIN QUERY PLAN SELECT a FROM t") == ["ends"]
assert told_of("EXPLAIN SELECT a FROM t") == ["ends"]
PYTHON
