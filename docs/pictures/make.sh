#!/usr/bin/env bash
# Makes the pictures of the README from a recording of a real program: memprof itself, reading a profile of itself.
#
#   docs/pictures/make.sh FOLDER     FOLDER is made if need be; all that is built and recorded goes there
#
# Needs cargo, git and Chromium.
set -euo pipefail

repo=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "${1:?usage: $0 FOLDER}"
cd "$1"
work=$PWD
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$repo/target}

step() {
    printf '\n== %s\n' "$*"
}

step memprof, and memprof with the allocator
cargo build --quiet --release --manifest-path "$repo/Cargo.toml" --bin memprof
cp "$CARGO_TARGET_DIR/release/memprof" memprof
rm -rf source
mkdir source
git -C "$repo" archive HEAD | tar -x -C source
sed -i 's/^\[dependencies\]$/&\nprofiler-alloc.workspace = true/' source/Cargo.toml
cat >>source/src/main.rs <<'TWO_LINES'
#[global_allocator]
static ALLOC: profiler_alloc::ProfilerAlloc = profiler_alloc::ProfilerAlloc::system();
TWO_LINES
cargo build --quiet --release --manifest-path source/Cargo.toml --bin memprof
cp "$CARGO_TARGET_DIR/release/memprof" recorded

step record
rm -f first.memprof second.memprof
./memprof run -o first.memprof -- ./recorded run -o none.memprof -- true || true
./memprof run -o second.memprof -- ./recorded report first.memprof --all -o report.txt

step draw
cd source
memprof=$work/memprof
pictures=$repo/docs/pictures
"$memprof" timeline "$work/second.memprof" -o "$pictures/timeline.svg"
"$memprof" flamegraph "$work/second.memprof" --by function -o "$pictures/flamegraph.svg"
"$memprof" report "$work/second.memprof" --format html -o "$work/page.html"
for theme in light dark; do
    data=$(mktemp -d)
    dark=()
    [ $theme = light ] || dark=(--blink-settings=preferredColorScheme=0)
    chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --user-data-dir="$data" --hide-scrollbars "${dark[@]}" \
        --window-size=1280,860 --screenshot="$pictures/page-$theme.png" "file://$work/page.html" 2>/dev/null
    rm -rf "$data"
done
ls -l "$pictures"
