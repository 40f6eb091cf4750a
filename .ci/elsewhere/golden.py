"""Has a memprof for another system show the profile that is kept for ever, and compares it with what is shown on Linux.

golden.py FOLDER RUNNER... PROGRAM: FOLDER is what the program calls the folder for temporary files.
"""

import gzip
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

GOLDEN = pathlib.Path(__file__).parents[2] / "tests" / "golden"
# A debug build takes minutes for each under wasmtime: two are enough there.
VIEWS = {"summary": ["summary"], "lines": ["report", "--all"], "exact": ["report", "--exact"], "timeline": ["timeline"]}


def plain(text):
    """Without what differs: how a system says that there is no such file, and the folder that the command runs in."""
    text = re.sub(r"\([^()]*\(os error \d+\)\)", "(no such file)", text.replace("\r\n", "\n"))
    return text.replace("/golden/src", "src").strip()


called, *command = sys.argv[1:]
if command[-1].endswith(".wasm"):
    VIEWS = {name: VIEWS[name] for name in ("summary", "lines")}
with tempfile.TemporaryDirectory(prefix="memprof-golden-") as folder:
    folder = pathlib.Path(folder)
    called = f"{called}/{folder.name}"
    folder.joinpath("app.memprof").write_bytes(gzip.decompress(GOLDEN.joinpath("v1.memprof.gz").read_bytes()))
    folder.joinpath("src").mkdir()
    shutil.copy(GOLDEN / "v1.rs", folder / "src" / "main.rs")
    for name, view in VIEWS.items():
        arguments = [*view, f"{called}/app.memprof", "--path-map", f"/golden={called}"]
        shown = subprocess.run([*command, *arguments], stdout=subprocess.PIPE, text=True, check=True, encoding="utf-8").stdout
        shown = plain(shown.replace("\\", "/").replace(called, "/golden"))
        kept = plain(GOLDEN.joinpath(f"v1.{name}.snap").read_text().split("---\n", 2)[2])
        if shown != kept:
            sys.exit(f"{' '.join(view)} is not as on Linux:\n{shown}")
        print(f"{' '.join(view)}: {len(shown.splitlines())} lines, as on Linux")
