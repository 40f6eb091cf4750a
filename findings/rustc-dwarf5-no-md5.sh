#!/usr/bin/env bash
# rustc 1.95.0 (LLVM 22) with -C dwarf-version=5: no MD5 of any source file in the line table.
# One would have guessed that it is there: DWARF 5 has a column for it, clang writes it, and rustc hands the MD5 of each
# file to LLVM (`checksumkind: CSK_MD5` in the IR). But each unit also has a file entry for the unit's own name
# (`app.rs/@/app.…-cgu.0`), which has no checksum, and LLVM writes the column for all files of a unit or for none.
# Users of memprof meet it because nothing in a Rust program proves that a source file is the one it was built from.
# Exits nonzero once an MD5 is there.
set -euo pipefail
export LC_ALL=C

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
rustc --version

printf 'fn main() {\n    println!("{}", std::env::args().count());\n}\n' >app.rs
rustc --edition 2021 -g -C dwarf-version=5 app.rs
rustc --edition 2021 -g -C dwarf-version=5 --emit llvm-ir app.rs

own_file='!DIFile(filename: "app.rs", .*checksumkind: CSK_MD5'
echo "given to LLVM: $(grep -o "$own_file" app.ll | head -1)"
tables=$(readelf --debug-dump=rawline app 2>/dev/null)
unit=$(grep -n 'DWARF Version: *5' <<<"$tables" | head -1)
echo "in the program: line tables of version 5: $(grep -c 'DWARF Version: *5' <<<"$tables")"
columns=$(grep -m 1 'The File Name Table' <<<"$tables")
echo "the first one's files: $columns"

grep -q "$own_file" app.ll
[ -n "$unit" ]
# Two columns are name and folder; with an MD5 there are three.
[[ $columns == *"columns 2"* ]] && ! grep -qi md5 <<<"$tables"
echo "so: rustc knows the MD5, and the program does not have it"
