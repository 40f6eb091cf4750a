//! A macro with a function's text, for a test in another file that gives it the last expression.

macro_rules! made_elsewhere {
    ($name:ident, $last:expr) => {
        #[profiler_alloc::query_profiler]
        #[profiler_alloc::profile]
        fn $name() -> usize {
            let from_here: Vec<u8> = Vec::with_capacity(55);
            drop(from_here);
            $last
        }
    };
}
