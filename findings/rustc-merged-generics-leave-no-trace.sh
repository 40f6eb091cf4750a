#!/usr/bin/env bash
# rustc 1.95.0 (LLVM 22), -O -g: two instances of a generic function with equal code become one, and the debug information
# that is left speaks of one of the two as if the other had never been there: no second DW_TAG_subprogram with code, no
# second address range, no alias. The type parameters of what is left are those of one caller alone.
# One would have guessed that the instance that was merged away keeps an entry at the shared address, as functions merged
# by a linker (`--icf=all`) do, so that a reader can see that an address has two names.
# Users of memprof meet it in `memprof types`: a function of its own that says `Order` may serve `Invoice` too, and nothing
# in the program tells, so such types are marked `~`.
# Exits nonzero once both instances have entries with code.
set -euo pipefail
export LC_ALL=C

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
rustc --version

cat >app.rs <<'RS'
use std::hint::black_box;
pub struct Order { pub number: u64, pub total: u64 }
pub struct Invoice { pub customer: u64, pub due: u64 }
#[inline(never)]
fn keep<T>(kept: &mut Vec<T>, thing: T) {
    kept.push(thing);
}
fn main() {
    let (mut orders, mut invoices) = (Vec::new(), Vec::new());
    for n in 0..black_box(9) {
        keep(&mut orders, Order { number: n, total: n });
        keep(&mut invoices, Invoice { customer: n, due: n });
    }
    println!("{} {}", black_box(orders).len(), black_box(invoices).len());
}
RS

# Instances of `keep` that have code, by their entries' names.
with_code() {
    readelf --debug-dump=info "$1" 2>/dev/null | awk '
        /DW_TAG_/ { if (function_ && low && name ~ /^keep</) print name; function_ = /DW_TAG_subprogram/; low = 0; name = "" }
        /DW_AT_low_pc/ { low = 1 }
        /DW_AT_name/ { if (name == "") { name = $0; sub(/.*: /, "", name) } }' | sort -u
}
rustc --edition 2021 -C debuginfo=2 -C opt-level=0 app.rs -o unoptimized
rustc --edition 2021 -C debuginfo=2 -O -C codegen-units=1 app.rs -o optimized
unoptimized=$(with_code unoptimized)
optimized=$(with_code optimized)
echo "with code, unoptimized: ${unoptimized//$'\n'/ }"
echo "with code, optimized:   ${optimized//$'\n'/ }"
[ "$(wc -l <<<"$unoptimized")" = 2 ] && [ "$(wc -l <<<"$optimized")" = 1 ]
echo "so: one function serves both types, and its debug information names one of them"
