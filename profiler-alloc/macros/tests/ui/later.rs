//! Streams and closures do their work after the call, whatever their type is called.

use std::pin::Pin;
use std::task::{Context, Poll};

use profiler_alloc::{budget, elapsed_timer, profile, query_profiler, ram_profiler};

mod streams {
    use super::{Context, Pin, Poll};

    /// As that of `futures`.
    pub trait Stream {
        type Item;
        fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>>;
    }
}

type Rows = Pin<Box<dyn streams::Stream<Item = u8> + Send>>;
type Boxed<'a> = Box<dyn streams::Stream<Item = u8> + Unpin + 'a>;

#[budget(max_heap = 1)]
fn streams_by_another_name() -> Rows {
    panic!()
}

#[profile]
fn streams_in_a_box(_of: &str) -> Boxed<'_> {
    panic!()
}

#[ram_profiler]
fn streams_of_any_type<S: streams::Stream>(stream: S) -> S {
    stream
}

struct Ticks;

impl streams::Stream for Ticks {
    type Item = u8;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u8>> {
        Poll::Ready(None)
    }
}

mod where_the_trait_is_imported {
    use super::streams::Stream as _;
    use super::{Ticks, elapsed_timer};

    #[elapsed_timer]
    pub fn streams_of_its_own() -> Ticks {
        Ticks
    }
}

type Job = Box<dyn FnOnce(u8, &str) -> Vec<u8>>;

#[budget(max_heap = 1)]
fn works_later() -> impl FnOnce() -> Vec<u8> {
    || vec![1; 1 << 20]
}

#[budget(max_heap = 1)]
fn works_later_by_another_name() -> Job {
    Box::new(|byte, _| vec![byte; 1 << 20])
}

#[budget(max_queries = 1)]
fn gives_a_function() -> fn(&str) -> String {
    str::to_owned
}

#[budget(no_leaks)]
fn gives_what_it_is_given<F: Fn()>(work: F) -> F {
    work
}

// These are as they should be.

#[budget(max_heap = 1, call_only)]
fn only_the_call() -> Rows {
    panic!()
}

#[budget(max_heap = 1, call_only)]
fn only_the_call_that_makes_it() -> Job {
    Box::new(|_, _| Vec::new())
}

#[profile]
fn has_blank_lines() -> impl Fn() -> usize {
    || 1
}

#[query_profiler]
fn has_no_limits() -> Job {
    Box::new(|_, _| Vec::new())
}

struct Queue;

impl Queue {
    fn poll_next(&mut self) -> u8 {
        1
    }
}

#[budget(max_heap = 1)]
fn polls_by_the_same_name() -> Queue {
    let mut queue = Queue;
    queue.poll_next();
    queue
}

#[budget(max_heap = 1)]
fn has_nothing_to_poll<'a>(text: &'a str, _more: &mut [u8]) -> Option<&'a str> {
    Some(text)
}

#[budget(max_heap = 1)]
fn goes_on_later() -> Box<dyn Iterator<Item = u8>> {
    Box::new(std::iter::once(1))
}

fn main() {}
