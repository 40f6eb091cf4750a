#!/usr/bin/env bash
# addr2line 0.27.1 (gimli 0.34.0), rustc 1.95.0, dwz 0.15: lines of a program that went through `dwz`, as Debian's packages do.
# One would have guessed that addr2line tells the same as before, or fails: dwz only moves what units share to partial units.
# But a partial unit of DWARF 4 looks like any other to addr2line; it has no addresses of its own and names the line table of
# the unit it was taken from, so it is given all of that unit's addresses, and has no functions there. The answer is a line
# with no function at all, and the functions that were inlined are gone, without an error.
# Users of memprof, and of std's backtraces, meet it with programs from a distribution.
# Exits nonzero once addr2line gives the same before and after.
set -euo pipefail
export LC_ALL=C

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

if ! command -v dwz >/dev/null; then
    apt-get download -qq dwz libelf1 && for package in *.deb; do dpkg -x "$package" tools; done
    export PATH="$folder/tools/usr/bin:$PATH" LD_LIBRARY_PATH="$folder/tools/usr/lib/x86_64-linux-gnu"
fi
rustc --version
dwz --version 2>&1 | head -1

mkdir -p asks/src
cat >asks/Cargo.toml <<'END'
[package]
name = "asks"
edition = "2021"
[dependencies]
addr2line = { version = "=0.27.1", default-features = false, features = ["loader"] }
gimli = "=0.34.0"
[workspace]
END
cat >asks/src/main.rs <<'END'
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize| u64::from_str_radix(&arguments[at], 16);
    let loader = addr2line::Loader::new(&arguments[1])?;
    let (mut answers, mut frames_in_all, mut nameless) = (0, 0, 0);
    for address in number(2)?..number(2)? + number(3)? {
        let mut frames = loader.find_frames(address)?;
        answers += 1;
        while let Some(frame) = frames.next()? {
            frames_in_all += 1;
            nameless += u32::from(frame.function.is_none());
        }
    }
    println!("{answers} addresses, {frames_in_all} frames, {nameless} of them without a function");
    Ok(())
}
END
cargo build --quiet --manifest-path asks/Cargo.toml --target-dir built

# Two crates that use the same of std, so that there is something to share.
body='{ let mut all: Vec<String> = Vec::new(); for i in 0..n { all.push(i.to_string().repeat(n)); } all.len() }'
printf '#[no_mangle]\npub extern "C" fn inner(n: usize) -> usize %s\n' "$body" >part.rs
printf '#[no_mangle]\npub extern "C" fn outer(n: usize) -> usize %s\n' "$body" >app.rs
printf 'fn main() { println!("{}", outer(3) + part::inner(std::env::args().count())); }\n' >>app.rs
rustc --edition 2021 -O -g -C dwarf-version=4 --crate-type rlib part.rs
rustc --edition 2021 -O -g -C dwarf-version=4 --extern part=libpart.rlib app.rs
cp app small
dwz small

ask() {
    read -r start size <<<"$(nm --print-size "$1" | awk '$4 == "outer" { print $1, $2 }')"
    built/debug/asks "$1" "$start" "$size"
}
echo "before dwz: $(ask app | tee before)"
echo "after dwz:  $(ask small | tee after)"

grep -q ' 0 of them without' before
if grep -q ' 0 of them without' after; then
    echo "addr2line now knows the functions after dwz too"
    exit 1
fi
echo "so: dwz took the functions away from addr2line"
