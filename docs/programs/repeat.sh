#!/usr/bin/env bash
# Repeats docs/programs.md: records two programs from crates.io that nobody here wrote, and checks five lines of each.
#
#   docs/programs/repeat.sh FOLDER     about four minutes on two cores; FOLDER is made if need be and may be kept for
#                                      the next time; everything that is fetched, built or written goes there
#
# For each program: cargo gets the published source at a pinned version; the two lines that register the allocator are
# appended to its main.rs, so that all other lines keep their numbers; it is built with line tables; its input is made, the
# same every time; `memprof run` records it, once as by default and once with every allocation sampled. Then the figures of
# the five lines are compared, to the byte, with those that docs/programs.md derives from the source, and the default
# recording's estimates and the costs are printed beside them; and views.sh puts the exact recordings through every view and
# export. The exit code says whether all lines had their figures, and all views the same totals.
#
# Needs cargo, crates.io, this repository, and the usual bash and awk.
set -euo pipefail

repo=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "${1:?usage: $0 FOLDER}"
cd "$1"
work=$PWD
export CARGO_TARGET_DIR=$work/target
# Four threads on any machine: what is checked must not depend on their number, but there must be several.
export RAYON_NUM_THREADS=4
failures=0

step() {
    printf '\n== %s\n' "$*"
}

# The folder in which cargo keeps the sources of both packages. Only tokei has a library and is listed by `cargo metadata`.
registry() {
    mkdir -p fetch
    printf '%s\n' '[package]' 'name = "fetch"' 'edition = "2021"' '[lib]' 'path = "lib.rs"' '[dependencies]' \
        'csview = "=1.3.4"' 'tokei = "=15.0.0"' '[workspace]' >fetch/Cargo.toml
    touch fetch/lib.rs
    cargo metadata --quiet --format-version 1 --manifest-path fetch/Cargo.toml 2>fetch/log |
        grep -o '"manifest_path":"[^"]*/tokei-15.0.0/Cargo.toml"' |
        sed 's|^"manifest_path":"\(.*\)/tokei-15.0.0/Cargo.toml"$|\1|'
}

# build NAME VERSION: $work/NAME-plain as published, $work/NAME with the allocator.
build() {
    local name=$1 folder=$1-$2
    rm -rf "$folder"
    cp -r "$sources/$folder" .
    chmod -R u+w "$folder"
    # The author's choice of toolchain and components; ours is the one that is installed.
    rm -f "$folder/rust-toolchain.toml"
    # FOLDER may be inside another workspace.
    printf '\n[workspace]\n' >>"$folder/Cargo.toml"
    local cargo=(cargo build --quiet --release --config profile.release.debug=1 --manifest-path "$folder/Cargo.toml")
    "${cargo[@]}" 2>"$name.log"
    cp "$CARGO_TARGET_DIR/release/$name" "$name-plain"

    cargo add --quiet --manifest-path "$folder/Cargo.toml" --path "$repo/profiler-alloc"
    cat >>"$folder/src/main.rs" <<'TWO_LINES'
use profiler_alloc::ProfilerAlloc;
#[global_allocator] static ALLOC: ProfilerAlloc = ProfilerAlloc::system();
TWO_LINES
    "${cargo[@]}" 2>>"$name.log"
    cp "$CARGO_TARGET_DIR/release/$name" "$name"
}

# record NAME ARGS…: NAME.auto.memprof and NAME.all.memprof.
record() {
    local name=$1
    shift
    memprof run --overwrite -o "$name.auto.memprof" -- "./$name" "$@" >/dev/null
    memprof run --overwrite -o "$name.all.memprof" --sample all -- "./$name" "$@" >/dev/null
    memprof summary "$name.auto.memprof" | grep -A2 '^Sampling'
    for mode in auto all; do
        memprof report "$name.$mode.memprof" --format csv --lines touched >"$name.$mode.csv"
    done
}

# figures NAME MODE FILE LINE: what was allocated and freed on the line, bytes and blocks, and the standard errors.
# Columns are found by their titles, counted from the end of the row, as source text may hold commas.
figures() {
    awk -F, -v place="^[^,]*$3,(\"[^\"]*\"|[^,]*),$4," '
        NR == 1 { for (i = 1; i <= NF; i++) behind[$i] = NF - i }
        function value(title) { return $(NF - behind[title]) }
        NR > 1 && $0 ~ place {
            print value("allocated"), value("count"), value("freed"), value("freed_count"),
                value("allocated_standard_error"), value("freed_standard_error")
        }' "$1.$2.csv"
}

# check NAME FILE LINE ALLOCATED BLOCKS FREED BLOCKS
check() {
    local name=$1 file=$2 line=$3 verdict=ok
    local expected="${*:4}" all auto
    all=$(figures "$name" all "$file" "$line" | cut -d' ' -f1-4)
    auto=$(figures "$name" auto "$file" "$line")
    if [ "$all" != "$expected" ]; then
        verdict="WRONG, expected $expected"
        failures=$((failures + 1))
    fi
    printf '%-32s all: %-40s auto: %s\n' "$file:$line" "$all $verdict" "${auto:-not seen}"
}

# cpu COMMAND…: milliseconds of CPU time.
cpu() {
    local TIMEFORMAT='%3U %3S'
    { time "$@" >/dev/null 2>&1; } 2>&1 | awk '{ print ($1 + $2) * 1000 }'
}

# costs NAME ARGS…: CPU time of each way of running, as a ratio to the published program, medians of seven rounds.
costs() {
    local name=$1 base round
    shift
    for round in 1 2 3 4 5 6 7; do
        base=$(cpu "./$name-plain" "$@")
        echo "$base $(cpu "./$name" "$@") $(cpu memprof run --overwrite -o cost.memprof -- "./$name" "$@") \
            $(cpu memprof run --overwrite -o cost.memprof --sample all -- "./$name" "$@")"
    done | awk '
        { for (i = 1; i <= 4; i++) value[i, NR] = i == 1 ? $1 : $i / $1 }
        END {
            split("published, ms|with the allocator, ratio|recorded, ratio|recorded with --sample all, ratio", name, "|")
            for (i = 1; i <= 4; i++) {
                for (j = 1; j <= NR; j++) for (k = j + 1; k <= NR; k++) if (value[i, k] < value[i, j]) {
                    swap = value[i, j]; value[i, j] = value[i, k]; value[i, k] = swap
                }
                printf "CPU time %-34s %7.2f   (%.2f to %.2f)\n", name[i], value[i, (NR + 1) / 2], value[i, 1], value[i, NR]
            }
        }'
}

step "memprof and the two sources"
cargo build --quiet --release --manifest-path "$repo/Cargo.toml" --bin memprof
PATH=$CARGO_TARGET_DIR/release:$PATH
sources=$(registry)
build csview 1.3.4
build tokei 15.0.0

step "input"
awk 'BEGIN {
    print "id,name,city,amount"
    for (i = 1; i <= 200000; i++) printf "%06d,name%06d,city%02d,%05d\n", i, i, i % 100, i * 7 % 100000
}' >in.csv
mkdir -p $(printf 'src/d%02d ' {0..19})
awk 'BEGIN {
    for (file = 0; file < 2000; file++) {
        path = sprintf("src/d%02d/f%04d.rs", file % 20, file)
        for (line = 0; line < 100; line++) printf "let value_%04d_%03d = \"text\";\n", file, line > path
        close(path)
    }
}'
ls -l in.csv src/d00/f0000.rs

step "csview 1.3.4: one thread, 200,000 rows (allocated, blocks, freed, blocks; then standard errors)"
record csview --sniff 0 in.csv
check csview src/main.rs 88 8192 1 0 0
check csview src/table/printer.rs 88 34594272 600017 2097120 16
check csview src/table/row.rs 16 12800064 200001 0 0
check csview src/table/row.rs 22 600003 200001 0 0
check csview src/table/row.rs 30 9600048 1000005 2800030 400004
costs csview --sniff 0 in.csv

step "tokei 15.0.0: four threads, 2,000 files (allocated, blocks, freed, blocks; then standard errors)"
record tokei src
check tokei src/language/language_type.rs 46 16384000 2000 0 0
check tokei src/language/language_type.rs 48 20416000 18000 10176000 16000
check tokei src/language/language_type.rs 133 0 0 10240000 2000
check tokei src/language/mod.rs 58 294624 10 147168 9
check tokei src/stats.rs 77 64000 4000 0 0
costs tokei src

step "every view and every export of both"
for name in csview tokei; do
    "$repo/docs/programs/views.sh" "$name.all.memprof" "$name.views" || failures=$((failures + 1))
done

step "sizes"
wc -c csview tokei ./*.a*.memprof

if [ "$failures" -gt 0 ]; then
    printf '\n%s lines or programs differ\n' "$failures"
    exit 1
fi
printf '\nall ten lines have the figures that their source says, and all views agree\n'
