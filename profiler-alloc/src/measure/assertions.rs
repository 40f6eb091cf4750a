//! Assertions for tests: a budget around a block.

/// Panics unless the block frees all the memory that it allocates. Gives what the block gives,
/// which must own none.
///
/// ```
/// use profiler_alloc::{ProfilerAlloc, assert_no_leaks};
///
/// #[global_allocator]
/// static ALLOC: ProfilerAlloc = ProfilerAlloc::system();
///
/// # fn main() {
/// let length = assert_no_leaks!({ vec![0u8; 1000].len() });
/// assert_eq!(length, 1000);
/// # }
/// ```
#[macro_export]
macro_rules! assert_no_leaks {
    ($scope:expr $(,)?) => {
        match $crate::measure::Budget::new().no_leaks().check(|| $scope) {
            ::core::result::Result::Ok(result) => result,
            ::core::result::Result::Err(broken) => ::core::panic!("{broken}"),
        }
    };
}

/// Panics if the block holds more than so many bytes of its own at any moment. Gives what the block
/// gives.
///
/// With a context, as `assert_max_heap!(64 << 10, context("route", "/orders"), { … })`, what counts
/// is what that holds, on whichever thread: see
/// [`Budget::in_context`](crate::measure::Budget::in_context).
///
/// ```
/// use profiler_alloc::{ProfilerAlloc, assert_max_heap};
///
/// #[global_allocator]
/// static ALLOC: ProfilerAlloc = ProfilerAlloc::system();
///
/// # fn main() {
/// let list = assert_max_heap!(64 << 10, { vec![0u8; 1000] });
/// assert_eq!(list.len(), 1000);
/// # }
/// ```
#[macro_export]
macro_rules! assert_max_heap {
    ($bytes:expr, context($key:expr, $value:expr), $scope:expr $(,)?) => {
        match $crate::measure::Budget::new()
            .max_heap($bytes)
            .in_context($key, $value)
            .check(|| $scope)
        {
            ::core::result::Result::Ok(result) => result,
            ::core::result::Result::Err(broken) => ::core::panic!("{broken}"),
        }
    };
    ($bytes:expr, $scope:expr $(,)?) => {
        match $crate::measure::Budget::new()
            .max_heap($bytes)
            .check(|| $scope)
        {
            ::core::result::Result::Ok(result) => result,
            ::core::result::Result::Err(broken) => ::core::panic!("{broken}"),
        }
    };
}

/// Panics unless the block runs exactly so many queries. Gives what the block gives. Queries are
/// seen as [`queries`](crate::queries) says.
///
/// ```
/// use profiler_alloc::assert_num_queries;
/// use profiler_alloc::queries::{QueryEvent, record};
///
/// let sum = assert_num_queries!(2, || {
///     record(QueryEvent::new("my database", "SELECT 1")); // what a library's hook does
///     record(QueryEvent::new("my database", "SELECT 2"));
///     3
/// });
/// assert_eq!(sum, 3);
/// ```
#[macro_export]
macro_rules! assert_num_queries {
    ($count:expr, $scope:expr $(,)?) => {
        match $crate::measure::Budget::new()
            .num_queries($count)
            .check($scope)
        {
            ::core::result::Result::Ok(result) => result,
            ::core::result::Result::Err(broken) => ::core::panic!("{broken}"),
        }
    };
}
