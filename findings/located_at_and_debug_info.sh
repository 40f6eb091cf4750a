#!/bin/sh
# Seen with rustc 1.95.0.
# An attribute keeps a function and gives the statements it puts into it the place of `fn` by Span::located_at. Span::line
# agrees, but the debug information does not: a frame there is on the line of the attribute, as in a function that is the
# program's own, a macro's expansion is collapsed to its call.
# One would have guessed that the place of a span is the line of its code everywhere.
# Users meet it as a second table of a function in sampled reports, with nothing but the line of an attribute in it, such as
# #[profile] or #[tracing::instrument].
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > places.rs <<'RUST'
extern crate proc_macro;
use proc_macro::{Group, Span, TokenStream, TokenTree};

fn located(place: Span, code: TokenStream) -> TokenStream {
    code.into_iter()
        .map(|mut tree| {
            if let TokenTree::Group(group) = &tree {
                tree = Group::new(group.delimiter(), located(place, group.stream())).into();
            }
            tree.set_span(Span::mixed_site().located_at(place));
            tree
        })
        .collect()
}

#[proc_macro_attribute]
pub fn wraps(_: TokenStream, item: TokenStream) -> TokenStream {
    let mut trees: Vec<TokenTree> = item.into_iter().collect();
    let place = trees[0].span();
    let body = trees.pop().unwrap();
    let code = format!("crate::inner(); {}", place.line()).parse().unwrap();
    let TokenTree::Group(written) = &body else { panic!() };
    let mut changed = Group::new(written.delimiter(), located(place, code));
    changed.set_span(written.span());
    trees.push(changed.into());
    trees.into_iter().collect()
}
RUST
cat > main.rs <<'RUST'
#[inline(never)]
fn inner() {
    let trace = std::backtrace::Backtrace::force_capture().to_string();
    let lines: Vec<&str> = trace.lines().collect();
    let at = lines.iter().position(|line| line.ends_with("main::wrapped")).unwrap();
    println!("frame:{}", lines[at + 1].rsplit(':').nth(1).unwrap());
}

#[places::wraps]

fn wrapped() -> usize {
    0
}

fn main() {
    println!("span:{}", wrapped());
}
RUST
rustc --version
rustc --edition 2024 --crate-type proc-macro places.rs
rustc --edition 2024 -g --extern places="$(ls libplaces.*)" main.rs
seen=$(./main | tr '\n' ' ')
echo "lines: $seen"
[ "$seen" = "frame:9 span:11 " ]
