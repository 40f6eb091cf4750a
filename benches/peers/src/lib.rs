//! The workloads, for every allocator to be measured with: one binary each, as a program has one
//! global allocator.

mod workloads;

pub use workloads::{CURVES, WORKLOADS, Workload};

/// Runs the workload that the command line names: `PROGRAM WORKLOAD AMOUNT THREADS`. Prints one
/// number that depends on the work and not on the allocator.
///
/// # Panics
/// If the command line is anything else.
pub fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || {
        arguments
            .next()
            .expect("usage: PROGRAM WORKLOAD AMOUNT THREADS")
    };
    let name = next();
    let amount = next().parse().expect("an amount");
    let threads = next().parse().expect("a number of threads");
    let workload = WORKLOADS
        .iter()
        .chain(CURVES)
        .find(|workload| workload.name == name)
        .unwrap_or_else(|| panic!("no workload is called {name}"));
    println!("{}", (workload.run)(amount, threads));
}
