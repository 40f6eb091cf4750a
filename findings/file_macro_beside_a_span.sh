#!/bin/sh
# Seen with rustc 1.95.0 (Span::line and Span::file are stable since 1.88).
# An attribute that stands in a `macro_rules!` of another file takes the line of a token's span and writes `file!()` beside it:
# the line is one of the macro's own file (inner.rs), `file!()` is the file of the outermost call (main.rs).
# One would have guessed that both name one place, as `line!()` and `file!()` do, which are both the outermost call's.
# Users meet it where a macro of their crate makes annotated functions: a table of lines then shows another file's text. A span's
# own `file()` is the right companion of its line.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > places.rs <<'RUST'
extern crate proc_macro;
use proc_macro::TokenStream;

#[proc_macro_attribute]
pub fn says_where(_: TokenStream, item: TokenStream) -> TokenStream {
    let span = item.into_iter().next().unwrap().span();
    let (line, file) = (span.line(), span.file());
    format!("fn place() -> [String; 3] {{ [{line}.to_string(), {file:?}.to_owned(), file!().to_owned()] }}").parse().unwrap()
}
RUST
cat > inner.rs <<'RUST'


macro_rules! make {
    () => {
        #[places::says_where]
        fn made() {}
    };
}
RUST
cat > main.rs <<'RUST'
#[macro_use]
mod inner;
make!();
fn main() {
    println!("{}", place().join(" "));
}
RUST
rustc --version
rustc --edition 2024 --crate-type proc-macro places.rs
rustc --edition 2024 --extern places="$(ls libplaces.*)" main.rs
seen=$(./main)
echo "line and file of the span, file!(): $seen"
[ "$seen" = "6 inner.rs main.rs" ]
