//! Options that are none, or of the wrong kind.

use profiler_alloc::{budget, elapsed_timer, profile, query_profiler, ram_profiler};

#[profile(colums(occurrences))]
fn unknown_option() {}

#[profile(columns(occurrences, peak))]
fn unknown_column() {}

#[profile(precision = 10)]
fn too_precise() {}

#[profile(each_call, embed, each_call)]
fn twice() {}

#[ram_profiler(name = 3)]
fn name_of_the_wrong_kind() {}

#[ram_profiler(columns(occurrences))]
fn option_of_another() {}

#[elapsed_timer(summary peak_rss)]
fn no_comma() {}

#[budget]
fn no_limit() {}

#[budget(max_heap = "24 megs")]
fn no_size() {}

#[budget(max_time = "50")]
fn no_duration() {}

#[budget(max_allocations = -1)]
fn below_zero() {}

#[budget(max_queries = "ten")]
fn no_count() {}

#[query_profiler(value)]
fn unknown_query_option() {}

#[query_profiler(slow = "10")]
fn slow_without_a_unit() {}

#[query_profiler(slow = 10)]
fn slow_of_the_wrong_kind() {}

#[query_profiler(values, explain, values)]
fn values_twice() {}

#[query_profiler(limit = -1)]
fn fewer_than_none() {}

#[budget(no_leaks, context = "orders")]
fn no_key() {}

fn main() {}
