#!/usr/bin/env bash
# rustc 1.95.0, unoptimized, x86-64: `MaybeUninit::write(value)` takes four times the value's size of the caller's stack, as
# `write` is inlined even there and each of its steps (the argument, `MaybeUninit::new`, the assignment) keeps a copy in a place
# of its own. `place.as_mut_ptr().write(value)` and a plain assignment to an initialized place take it once.
# One would have guessed that `write`, which is there to fill a place that is too large for the stack, is no worse than an
# assignment.
# Users of memprof meet it in allocators and hooks of their own, and in whatever first runs on a signal's stack or on a thread
# of 16 KiB: a static of 4 KiB that is filled there overflows in a debug build, and only there. memprof's own start did.
# Exits nonzero once `write` takes no more than an assignment.
set -euo pipefail
export LC_ALL=C

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
rustc --version
[ "$(uname -m)" = x86_64 ] || { echo "not x86-64"; exit 1; }

cat >app.rs <<'RS'
use std::hint::black_box;
use std::mem::MaybeUninit;
pub struct Table(pub [u64; 512]);
#[inline(never)]
fn made(first: u64) -> Table {
    Table([first; 512])
}
#[inline(never)]
fn by_assignment(place: &mut Table) {
    *place = made(1);
}
#[inline(never)]
fn by_pointer(place: &mut MaybeUninit<Table>) {
    // SAFETY: the place is the caller's, and has room.
    unsafe { place.as_mut_ptr().write(made(2)) };
}
#[inline(never)]
fn by_write(place: &mut MaybeUninit<Table>) {
    place.write(made(3));
}
fn main() {
    let (mut table, mut place) = (made(0), MaybeUninit::uninit());
    by_assignment(&mut table);
    by_pointer(&mut place);
    by_write(&mut place);
    black_box((&table.0[3], &place));
}
RS
rustc --edition 2021 -C opt-level=0 app.rs -o app

# Bytes that a function takes off the stack pointer: one page at a time, as it probes each.
frame() {
    local sum=0 part
    for part in $(objdump -d --no-show-raw-insn -C app | awk -v name="<app::$1>:" '
        /^[0-9a-f]+ </ { inside = $2 == name }
        inside && $2 == "sub" && /,%rsp/ { sub(/^\$/, "", $3); sub(/,.*/, "", $3); print $3 }'); do
        sum=$((sum + part))
    done
    echo $sum
}
assignment=$(frame by_assignment)
pointer=$(frame by_pointer)
write=$(frame by_write)
echo "a table of 4096 bytes takes of the stack: by assignment $assignment, by a pointer's write $pointer, by MaybeUninit::write $write"
[ "$pointer" -lt 6000 ] && [ "$assignment" -lt 6000 ] && [ "$write" -ge $((3 * assignment)) ]
echo "so: each step of MaybeUninit::write keeps a copy of its own"
