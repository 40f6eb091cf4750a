//! Runs a model in every order of its threads that loom tells apart; in orders drawn at random,
//! with shuttle; or a few times, with Miri.
//!
//! loom knows which stores a load may see, however late, and tries all. It leaves out orders that
//! it takes for the same as one it has tried, and is wrong where several threads have loaded a
//! value before one of them stores it: that is what shuttle is for.

#[cfg(not(any(feature = "shuttle", miri)))]
pub use loom::thread;
#[cfg(all(feature = "shuttle", not(miri)))]
pub use shuttle::thread;
#[cfg(miri)]
pub use std::thread;

/// Runs `model` in every order in which threads are interrupted no more than `switches` times.
#[cfg(not(any(feature = "shuttle", miri)))]
pub fn every(switches: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(switches);
    builder.max_branches = 10_000;
    builder.check(model);
}

/// Runs `model` in orders drawn at random, in which threads are interrupted no more than `switches`
/// times.
#[cfg(all(feature = "shuttle", not(miri)))]
pub fn every(switches: usize, model: impl Fn() + Sync + Send + 'static) {
    shuttle::check_pct(model, 2_000, switches);
}

#[cfg(miri)]
pub fn every(_: usize, model: impl Fn() + Sync + Send + 'static) {
    (0..20).for_each(|_| model());
}
