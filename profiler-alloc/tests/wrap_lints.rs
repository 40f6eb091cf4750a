//! What the attributes write is silent under every group of clippy's lints: this file is the test,
//! when clippy reads it. What is allowed here, the functions do themselves.

#![forbid(unsafe_code)]
#![deny(warnings, clippy::all, clippy::pedantic, clippy::nursery)]
#![deny(clippy::restriction, unused_qualifications, unused_results)]
#![allow(
    clippy::absolute_paths,
    clippy::arbitrary_source_item_ordering,
    clippy::blanket_clippy_restriction_lints,
    clippy::manual_async_fn,
    clippy::min_ident_chars,
    clippy::missing_docs_in_private_items,
    clippy::missing_const_for_fn,
    clippy::missing_inline_in_public_items,
    clippy::missing_trait_methods,
    clippy::needless_pass_by_value,
    clippy::needless_return,
    clippy::question_mark_used,
    clippy::single_call_fn,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    clippy::tests_outside_test_module,
    clippy::unnecessary_wraps,
    reason = "of the functions themselves"
)]

use std::future::ready;
use std::num::ParseIntError;
use std::pin::Pin;

use profiler_alloc::{
    ProfilerAlloc, budget, elapsed_timer, profile, profile_block, query_profiler, ram_profiler,
};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

#[profile]
#[ram_profiler(summary)]
#[elapsed_timer(summary)]
#[query_profiler(summary)]
#[budget(max_queries = 3)]
fn with_all(
    list: Vec<u8>,
    (first, second): (u8, u8),
    text: &str,
    _: u8,
) -> Result<usize, ParseIntError> {
    let mut sum = list.len();
    for item in &list {
        let more = usize::from(*item);
        sum = sum.saturating_add(more);
    }
    if first > second {
        let number: usize = text.parse()?;
        return Ok(number);
    }
    while sum > 1000 {
        sum = sum.saturating_sub(2);
    }
    return Ok(sum);
}

#[budget(max_heap = "1 GiB", no_leaks)]
#[profile(columns(occurrences), embed)]
fn generic<T: Copy, const N: usize>(array: [T; N], _by: u8) -> Option<T> {
    let found = array.first()?;
    return Some(*found);
}

#[elapsed_timer(summary)]
#[profile]
#[ram_profiler(summary)]
#[query_profiler(summary)]
#[budget(max_time = "1 min", max_queries = 2)]
async fn later(list: Vec<u8>, text: &str, _by: u8) -> Result<usize, ParseIntError> {
    let sum = list.len();
    ready(()).await;
    let number: usize = text.parse()?;
    return Ok(sum.saturating_add(number));
}

#[profile]
#[budget(max_heap = "1 GiB")]
async fn later_nothing() {
    ready(()).await;
}

#[query_profiler(summary)]
#[profile]
#[budget(max_allocations = 100)]
fn some_future(list: Vec<u8>) -> impl Future<Output = usize> {
    return async move {
        let sum = list.len();
        return ready(sum).await;
    };
}

#[profile]
#[ram_profiler(summary)]
fn boxed<'text>(
    text: &'text str,
    list: Vec<u8>,
) -> Pin<Box<dyn Future<Output = usize> + Send + 'text>> {
    return Box::pin(async move {
        let sum = list.len();
        ready(()).await;
        return sum.saturating_add(text.len());
    });
}

struct Thing(u8);

impl Thing {
    #[profile]
    #[elapsed_timer(summary)]
    fn by_value(self, mut more: u8) -> u8 {
        more = more.saturating_add(self.0);
        return more;
    }

    #[profile]
    #[query_profiler(summary)]
    fn change(&mut self, more: u8) -> &mut Self {
        self.0 = self.0.saturating_add(more);
        return self;
    }
}

fn in_the_middle(list: &[u8]) -> usize {
    let sum = profile_block!("middle", {
        let length = list.len();
        length.saturating_mul(2)
    });
    return sum;
}

#[test]
fn functions_do_what_they_did() {
    assert_eq!(with_all(vec![1, 2], (1, 2), "", 0), Ok(5), "sync");
    assert_eq!(with_all(Vec::new(), (2, 1), "3", 0), Ok(3), "early");
    let array: [u8; 2] = [7, 8];
    assert_eq!(generic(array, 0), Some(7), "generic");
    assert_eq!(Thing(1).by_value(2), 3, "by value");
    assert_eq!(Thing(1).change(2).0, 3, "a method");
    assert_eq!(in_the_middle(&[1, 2]), 4, "a block");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let futures = async {
        later_nothing().await;
        let sum = boxed("ab", vec![0]).await;
        return (
            later(vec![1], "4", 0).await,
            some_future(vec![1]).await,
            sum,
        );
    };
    let given = runtime.map(|on| return on.block_on(futures));
    assert_eq!(given.ok(), Some((Ok(5), 1, 3)), "async");
}
