//! Contexts as values: named, entered, and carried to other threads and tasks.

use core::future::Future;
use core::marker::PhantomData;

use super::future::{Visiting, WithinContext};
use super::visit::{Continued, Visit};
use crate::contexts::{in_force, names, sets};
use crate::measure::enabled;
use crate::measure::scope::{Entered, Scope};

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
pub struct Context(pub(super) sets::Id);

impl Context {
    /// No context.
    pub const NONE: Context = Context(0);

    /// The context `value` of `key`. A process can tell 4,096 of them apart, of 64 keys; what is
    /// more is counted under "(other)" of its key. So a key should have tens of values, like
    /// routes, not one for each request. Of a value, 256 bytes are kept, of a key 64.
    #[inline]
    pub fn new(key: &str, value: impl AsRef<str>) -> Context {
        if !enabled::is_switched_on() {
            return Context::NONE;
        }
        let context = names::context(key, value.as_ref());
        Context(context.map_or(0, sets::alone))
    }

    /// These, and another one, which takes the place of one of its key. At most eight keys can be
    /// in force at once.
    pub fn and(self, key: &str, value: impl AsRef<str>) -> Context {
        self.with(Context::new(key, value))
    }

    /// These and `inner`, which take the places of those of their keys.
    pub(super) fn with(self, inner: Context) -> Context {
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
        let mut visit = Visit::new(self.0);
        visit.resume();
        ContextGuard {
            visit,
            stays: PhantomData,
        }
    }

    /// Runs `work` with them in force: the entry that they are of goes on.
    pub fn run<R>(self, work: impl FnOnce() -> R) -> R {
        let _running = Entered::new(Continued::new(self.0));
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
        WithinContext::new(Visiting::Continued(Continued::new(self.0)), future)
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

/// What [`context`] and [`Context::enter`] return. The contexts are in force until it is dropped,
/// by the same thread.
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

/// Futures that work for somebody.
///
/// ```
/// use profiler_alloc::InContext;
///
/// async fn load(id: u64) -> Vec<u8> {
///     vec![0; id as usize]
/// }
///
/// # async fn serve() {
/// let order = load(7).in_context("route", "/orders/{id}").in_context("tenant", "acme").await;
/// # }
/// ```
pub trait InContext: Future + Sized {
    /// The same future, with the context `value` of `key` in force during its polls and while it is
    /// dropped; all of it counts as one entry. A future that is dropped before its first poll is
    /// none.
    fn in_context(self, key: &str, value: impl AsRef<str>) -> WithinContext<Self> {
        let visit = Visit::new(Context::new(key, value).0);
        WithinContext::new(Visiting::Entered(visit), self)
    }
}

impl<F: Future> InContext for F {}
