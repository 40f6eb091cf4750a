//! The twin of `lists.rs` with attributes: the exact line table of one function, and its memory and
//! time, with nothing recorded and no debug info.
//!
//! ```text
//! cargo run --release --example lists_profiled
//! ```

use profiler_alloc::{ProfilerAlloc, elapsed_timer, profile, ram_profiler};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

#[elapsed_timer]
#[ram_profiler]
#[profile]
fn main_func() {
    let arr1: Vec<i64> = random_list(100_000);
    let arr2: Vec<i64> = random_list(100_000);
    let arr3: Vec<i64> = sums(&arr1, &arr2);

    drop(arr1);
    drop(arr2);
    let total: i64 = arr3.iter().sum();
    drop(arr3);
    println!("{total}");
}

/// `len` pseudo-random numbers from 1 to 1000, the same in every run.
fn random_list(len: usize) -> Vec<i64> {
    let mut state = 88_172_645_463_325_252_u64;
    let next = |_| {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % 1000) as i64 + 1
    };
    (0..len).map(next).collect()
}

fn sums(left: &[i64], right: &[i64]) -> Vec<i64> {
    left.iter().zip(right).map(|(a, b)| a + b).collect()
}

fn main() {
    main_func();
}
