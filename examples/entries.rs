//! Entries of contexts, so many times each: what instructions are counted of.
//!
//! `entries entry|context TIMES`

use std::hint::black_box;

use profiler_alloc::{Context, ProfilerAlloc, context};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

fn main() {
    let mut arguments = std::env::args().skip(1);
    let operation = arguments.next().expect("an operation");
    let times: usize = arguments
        .next()
        .and_then(|n| n.parse().ok())
        .expect("how often");
    match operation.as_str() {
        // What naming, entering and leaving a context takes.
        "context" => (0..times).for_each(|_| drop(context("route", black_box("/orders/{id}")))),
        // One that was named before.
        "entry" => {
            let route = Context::new("route", "/orders/{id}");
            (0..times).for_each(|_| drop(black_box(route).enter()));
        }
        other => panic!("{other} is neither entry nor context"),
    }
}
