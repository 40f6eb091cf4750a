//! Contexts: for whom the program works, said by a guard, by a future, or by the spans of `tracing`.
//!
//! A context is a value of a key: `/orders/{id}` of `route`, `acme` of `tenant`. What is allocated
//! while it is in force belongs to it, wherever it is freed; what is freed while it is in force is
//! its freed. `memprof contexts` shows them, and [`contexts`] gives exact counts without a recording.

mod future;
#[cfg(feature = "tracing")]
mod layer;
mod stats;

use core::marker::PhantomData;

use super::enabled;
use super::scope::Scope;
use crate::contexts::{in_force, names, sets};
use crate::session::context_counts::{self, Entered};

pub use future::{InContext, WithinContext};
#[cfg(feature = "tracing")]
pub use layer::ContextLayer;
pub use stats::{ContextStats, contexts};

/// Contexts, at most one of each key: to enter them more than once, or to carry those in force to
/// another thread or task.
///
/// Naming one costs a look-up of the two texts; entering and leaving it costs less.
///
/// ```
/// use profiler_alloc::Context;
///
/// let route = Context::new("route", "/orders/{id}").and("tenant", "acme");
/// for _ in 0..3 {
///     let _context = route.enter();
///     // Two keys are in force.
/// }
/// assert_eq!(Context::current(), Context::NONE);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Context(sets::Id);

impl Context {
    /// No context.
    pub const NONE: Context = Context(0);

    /// The context `value` of `key`. A process can tell 4,096 of them apart, of 64 keys; what is
    /// more is counted under "(other)" of its key. So a key should have tens of values, like routes,
    /// not one for each request. Of a value, 256 bytes are kept, of a key 64.
    #[inline]
    pub fn new(key: &str, value: impl AsRef<str>) -> Context {
        if !enabled::is_switched_on() {
            return Context::NONE;
        }
        let context = names::context(key, value.as_ref());
        Context(context.map_or(0, sets::alone))
    }

    /// These, and another one, which takes the place of one of its key. At most eight keys can be in
    /// force at once.
    pub fn and(self, key: &str, value: impl AsRef<str>) -> Context {
        self.with(Context::new(key, value))
    }

    /// These and `inner`, which take the places of those of their keys.
    fn with(self, inner: Context) -> Context {
        Context(sets::both(self.0, inner.0))
    }

    /// The contexts in force in the calling thread.
    ///
    /// Threads and tasks do not inherit them: carry them there.
    ///
    /// ```
    /// use profiler_alloc::Context;
    ///
    /// let _route = profiler_alloc::context("route", "/report");
    /// let here = Context::current();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(move || here.run(|| vec![0u8; 1000]));
    /// });
    /// ```
    pub fn current() -> Context {
        Context(in_force::all())
    }

    /// Puts them in force until the guard is dropped, which counts as one entry.
    #[inline]
    pub fn enter(self) -> ContextGuard {
        let mut visit = Visit::new(self);
        visit.resume();
        ContextGuard {
            visit,
            stays: PhantomData,
        }
    }

    /// Runs `work` with them in force: the entry that they are of goes on.
    pub fn run<R>(self, work: impl FnOnce() -> R) -> R {
        let _running = super::scope::Entered::new(Continued::new(self));
        work()
    }

    /// A closure that runs with them in force, for another thread:
    /// `spawn_blocking(Context::current().wrap(work))`.
    pub fn wrap<R>(self, work: impl FnOnce() -> R) -> impl FnOnce() -> R {
        move || self.run(work)
    }

    /// A future that is polled with them in force, for another task:
    /// `tokio::spawn(Context::current().carry(work()))`.
    pub fn carry<F: Future>(self, future: F) -> WithinContext<F> {
        WithinContext::new(future::Visiting::Continued(Continued::new(self)), future)
    }
}

/// Puts a context in force until the guard is dropped. Guards nest; of one key, the innermost value
/// is in force.
///
/// ```
/// use profiler_alloc::{ProfilerAlloc, contexts};
///
/// #[global_allocator]
/// static ALLOC: ProfilerAlloc = ProfilerAlloc::system();
///
/// # fn main() {
/// {
///     let _context = profiler_alloc::context("route", "/orders/{id}");
///     drop(vec![0u8; 1000]);
/// }
/// let route = &contexts()[0];
/// assert_eq!((&*route.key, &*route.value), ("route", "/orders/{id}"));
/// assert_eq!((route.entries, route.allocated_bytes, route.freed_bytes), (1, 1000, 1000));
/// # }
/// ```
///
/// A guard that is held over an `.await` counts what other tasks do on the thread meanwhile: use
/// [`InContext::in_context`] there.
#[inline]
pub fn context(key: &str, value: impl AsRef<str>) -> ContextGuard {
    Context::new(key, value).enter()
}

/// What [`context`] and [`Context::enter`] return. The contexts are in force until it is dropped, by
/// the same thread.
#[derive(Debug)]
#[must_use = "the context is in force until this is dropped"]
pub struct ContextGuard {
    visit: Visit,
    /// Another thread has other contexts in force.
    stays: PhantomData<*const ()>,
}

impl Drop for ContextGuard {
    #[inline]
    fn drop(&mut self) {
        self.visit.pause();
        self.visit.complete();
    }
}

/// An entry of contexts: one guard, all polls of a future, a span.
#[derive(Debug, Default)]
struct Visit {
    context: Context,
    entered: Option<Entered>,
    /// Bytes allocated so far.
    allocated: u64,
    /// It was never entered, or it is over.
    is_over: bool,
}

impl Visit {
    #[inline]
    fn new(context: Context) -> Visit {
        Visit {
            context,
            entered: None,
            allocated: 0,
            is_over: true,
        }
    }
}

impl Scope for Visit {
    #[inline]
    fn resume(&mut self) {
        if self.context != Context::NONE {
            self.entered = Some(Entered::enter(self.context.0));
            self.is_over = false;
        }
    }

    #[inline]
    fn pause(&mut self) {
        if let Some(entered) = self.entered.take() {
            self.allocated = self.allocated.wrapping_add(entered.leave());
        }
    }

    #[inline]
    fn complete(&mut self) {
        if !self.is_over {
            self.is_over = true;
            context_counts::count_entry(self.context.0, self.allocated);
        }
    }
}

/// Contexts in force that were entered elsewhere.
#[derive(Debug)]
struct Continued {
    context: Context,
    entered: Option<Entered>,
}

impl Continued {
    fn new(context: Context) -> Continued {
        Continued {
            context,
            entered: None,
        }
    }
}

impl Scope for Continued {
    fn resume(&mut self) {
        if self.context != Context::NONE {
            self.entered = Some(Entered::enter(self.context.0));
        }
    }

    fn pause(&mut self) {
        if let Some(entered) = self.entered.take() {
            entered.leave();
        }
    }
}
