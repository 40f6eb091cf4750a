//! Options that are none, or of the wrong kind.

use profiler_alloc::{budget, elapsed_timer, profile, ram_profiler};

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

fn main() {}
