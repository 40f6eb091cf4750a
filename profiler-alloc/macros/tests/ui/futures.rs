//! The work of a future is done when it is polled: what cannot be measured there is refused.

use std::future::{Future, Ready};
use std::pin::Pin;

use profiler_alloc::{budget, elapsed_timer, profile, query_profiler, ram_profiler};

trait Stream {
    type Item;
}

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

#[budget(max_heap = 1)]
fn has_another_name() -> Later<u8> {
    Box::pin(async { 1 })
}

#[profile]
fn is_a_type_of_its_own() -> Ready<u8> {
    std::future::ready(1)
}

#[elapsed_timer]
fn depends<F: Future>(future: F) -> F {
    future
}

#[ram_profiler]
fn may_fail() -> Result<Pin<Box<dyn Future<Output = ()>>>, String> {
    Ok(Box::pin(async {}))
}

#[query_profiler]
fn streams() -> Pin<Box<dyn Stream<Item = u8>>> {
    panic!()
}

#[budget(max_queries = 1)]
fn becomes_one() -> impl std::future::IntoFuture<Output = u8> {
    std::future::ready(1)
}

/// As those of the crate `futures`.
trait FusedFuture: Future {}

impl FusedFuture for Ready<u8> {}

#[budget(max_heap = 1)]
fn has_another_trait() -> impl FusedFuture<Output = u8> {
    std::future::ready(1)
}

struct Request;

impl std::future::IntoFuture for Request {
    type Output = u8;
    type IntoFuture = Ready<u8>;

    fn into_future(self) -> Ready<u8> {
        std::future::ready(1)
    }
}

#[budget(max_heap = 1)]
fn is_sent_when_awaited() -> Request {
    Request
}

#[budget(max_heap = 1, call_only)]
async fn is_measured_anyway() {}

// These are as they should be.

#[budget(max_heap = 1, call_only)]
fn only_the_call() -> Later<u8> {
    Box::pin(async { 1 })
}

#[profile]
fn makes_functions() -> Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()>>>> {
    Box::new(|| Box::pin(async {}))
}

fn main() {}
