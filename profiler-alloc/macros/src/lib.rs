//! The attributes of `profiler-alloc`, which re-exports and documents them: use them from there.

#![forbid(unsafe_code)]

mod calls;
mod function;
mod options;
mod profile;
mod queries;
mod returned;
mod slots;
mod statements;
mod wrap;
mod written;

use proc_macro::TokenStream;

/// Prints the exact memory of every line of the function at the end of the program.
///
/// ```text
/// Line #    Mem usage    Increment   Line Contents
/// ================================================
///      8      1.3 KiB      1.3 KiB   fn main_func() {
///      9      0.8 MiB      0.8 MiB       let arr1: Vec<i64> = random_list(100_000);
///     13      1.5 MiB     -0.8 MiB       drop(arr1);
/// ```
///
/// Options, separated by commas:
///
/// | option | |
/// |---|---|
/// | `columns(occurrences, allocated, freed)` | more columns, any of these |
/// | `each_call` | a table after each call, instead of one of all calls at the end |
/// | `embed` | puts the text of the function into the program, for machines without the source |
/// | `precision = 3` | decimal places of bytes; the default is 1 |
/// | `call_only` | of a function that returns a future: only the call, not the future's polls |
/// | `crate = path` | where `profiler_alloc` is, if not at `::profiler_alloc` |
///
/// For `fn`, methods, `async fn` and functions that return a future; not for `const fn`. The module
/// `profiler_alloc::measure` says more.
#[proc_macro_attribute]
pub fn profile(options: TokenStream, function: TokenStream) -> TokenStream {
    give(profile::attribute(options.into(), function.into()))
}

/// As [`macro@profile`], for a block in the middle of a function: `profile_block!("label", { … })`
/// gives what the block gives.
#[proc_macro]
pub fn profile_block(input: TokenStream) -> TokenStream {
    give(profile::block(input.into()))
}

/// Reports the memory of the process before and after each call.
///
/// | option | |
/// |---|---|
/// | `name = "…"` | the label, instead of the function's name |
/// | `summary` | one report of all calls at the end of the program, instead of one for each |
/// | `peak_rss` | the highest resident set size inside too; sets back the process's own mark |
/// | `call_only` | of a function that returns a future: only the call, not the future's polls |
/// | `crate = path` | where `profiler_alloc` is, if not at `::profiler_alloc` |
#[proc_macro_attribute]
pub fn ram_profiler(options: TokenStream, function: TokenStream) -> TokenStream {
    give(wrap::ram(options.into(), function.into()))
}

/// Reports how long each call took, on the wall clock and in CPU time.
///
/// | option | |
/// |---|---|
/// | `name = "…"` | the label, instead of the function's name |
/// | `summary` | one report of all calls at the end of the program, instead of one for each |
/// | `call_only` | of a function that returns a future: only the call, not the future's polls |
/// | `crate = path` | where `profiler_alloc` is, if not at `::profiler_alloc` |
#[proc_macro_attribute]
pub fn elapsed_timer(options: TokenStream, function: TokenStream) -> TokenStream {
    give(wrap::elapsed(options.into(), function.into()))
}

/// Reports every SQL statement that each call ran: its time, its rows, the line that ran it; then
/// what stands out among them, such as an N+1. The module `profiler_alloc::queries` says of which
/// libraries.
///
/// | option | |
/// |---|---|
/// | `values` | shows the values in the SQL, which are hidden otherwise |
/// | `slow = "10ms"` | a query is slow from here on; the default is 100 ms |
/// | `explain` | SQLite's plan of slow queries |
/// | `limit = 20` | queries shown one by one; the default is 1000 |
/// | `name = "…"` | the label, instead of the function's name |
/// | `summary` | one report of all calls at the end of the program, instead of one for each |
/// | `call_only` | of a function that returns a future: only the call, not the future's polls |
/// | `crate = path` | where `profiler_alloc` is, if not at `::profiler_alloc` |
#[proc_macro_attribute]
pub fn query_profiler(options: TokenStream, function: TokenStream) -> TokenStream {
    give(queries::attribute(options.into(), function.into()))
}

/// Panics if a call uses more than it may; for tests. Only what the function itself does counts, so
/// tests that run at the same time do not disturb each other.
///
/// | option | |
/// |---|---|
/// | `max_heap = "24 MiB"` | the most that it may hold at any moment; or a number of bytes |
/// | `max_allocations = 100` | calls of `alloc` and `realloc` |
/// | `max_queries = 10` | SQL statements, of libraries that tell of them |
/// | `max_time = "50ms"` | wall-clock time; machines are noisy, leave room |
/// | `no_leaks` | it has to free what it allocates; what it frees of others' is no credit |
/// | `name = "…"` | the label, instead of the function's name |
/// | `call_only` | of a function that returns a future: only the call, not the future's polls |
/// | `crate = path` | where `profiler_alloc` is, if not at `::profiler_alloc` |
#[proc_macro_attribute]
pub fn budget(options: TokenStream, function: TokenStream) -> TokenStream {
    give(wrap::budget(options.into(), function.into()))
}

fn give(result: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    result
        .unwrap_or_else(|error| error.into_compile_error())
        .into()
}
