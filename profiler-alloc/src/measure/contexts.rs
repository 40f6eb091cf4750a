//! Contexts: for whom the program works, said by a guard, by a future, or by the spans of
//! `tracing`.
//!
//! A context is a value of a key: `/orders/{id}` of `route`, `acme` of `tenant`. What is allocated
//! while it is in force belongs to it, wherever it is freed; what is freed while it is in force is
//! its freed. `memprof contexts` shows them, and [`contexts`] gives exact counts without a
//! recording.

mod context;
mod future;
#[cfg(feature = "tracing")]
mod layer;
mod stats;
mod visit;

pub use context::{Context, ContextGuard, InContext, context};
pub use future::WithinContext;
#[cfg(feature = "tracing")]
pub use layer::ContextLayer;
pub use stats::{ContextStats, contexts};
