"""Runs a program for WASI as `cargo test` asks for it: by wasmtime, with the folder for temporary files."""

import os
import sys
import tempfile

import wasmtime

engine = wasmtime.Engine()
linker = wasmtime.Linker(engine)
linker.define_wasi()
settings = wasmtime.WasiConfig()
settings.argv = sys.argv[1:]
settings.inherit_stdout()
settings.inherit_stderr()
settings.preopen_dir(tempfile.gettempdir(), "/tmp")
settings.env = [(name, value) for name, value in os.environ.items() if name.startswith("MEMPROF")]
store = wasmtime.Store(engine)
store.set_wasi(settings)
program = linker.instantiate(store, wasmtime.Module.from_file(engine, sys.argv[1]))
try:
    program.exports(store)["_start"](store)
except wasmtime.ExitTrap as end:
    sys.exit(end.code)
