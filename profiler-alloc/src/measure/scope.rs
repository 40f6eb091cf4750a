//! The shape all wrappers share: a scope that is running or paused, entered by a function or by the
//! polls of a future.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

/// Something that measures the calling thread while it runs, and may move to another thread while
/// it is paused. It says what it has measured when it is dropped.
pub trait Scope {
    /// The measured code goes on, on the calling thread.
    fn resume(&mut self);
    /// The measured code stops, on the same thread.
    fn pause(&mut self);
    /// The measured code came to its end: after the last pause, unless a future is given up
    /// half-way.
    fn complete(&mut self) {}
}

/// `None` is a scope that is switched off.
impl<S: Scope> Scope for Option<S> {
    #[inline]
    fn resume(&mut self) {
        if let Some(scope) = self {
            scope.resume();
        }
    }

    #[inline]
    fn pause(&mut self) {
        if let Some(scope) = self {
            scope.pause();
        }
    }

    #[inline]
    fn complete(&mut self) {
        if let Some(scope) = self {
            scope.complete();
        }
    }
}

/// A scope that runs until it is dropped.
#[derive(Debug)]
pub struct Entered<S: Scope>(S);

impl<S: Scope> Entered<S> {
    /// Lets `scope` run.
    #[inline]
    pub fn new(mut scope: S) -> Entered<S> {
        scope.resume();
        Entered(scope)
    }
}

impl<S: Scope> Drop for Entered<S> {
    #[inline]
    fn drop(&mut self) {
        self.0.pause();
        self.0.complete();
    }
}

/// A scope that runs while a future is made, and is then to run whenever that is polled.
#[derive(Debug)]
pub struct Made<S: Scope>(Option<S>);

impl<S: Scope> Made<S> {
    /// Lets `scope` run.
    pub fn new(mut scope: S) -> Made<S> {
        scope.resume();
        Made(Some(scope))
    }

    /// The future is made: gives the scope, which waits for its polls. `None` is never given.
    pub fn scope(mut self) -> Option<S> {
        let mut scope = self.0.take();
        scope.pause();
        scope
    }
}

/// No future came of it.
impl<S: Scope> Drop for Made<S> {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.0.pause();
            self.0.complete();
        }
    }
}

/// Makes a future, whose output is known to the compiler while it looks at what makes it.
#[inline]
pub fn make<T, F: Future<Output = T>, M: FnOnce() -> F>(make: M) -> F {
    make()
}

/// A future, with a scope that runs whenever it is polled, and when it is dropped at its end: the
/// box that it may be in is not left over.
#[derive(Debug)]
pub struct Polled<'a, S, F> {
    scope: S,
    future: Pin<&'a mut Option<F>>,
}

impl<'a, S: Scope + Unpin, F: Future> Polled<'a, S, F> {
    /// `scope` will measure the polls of `future`.
    pub fn new(scope: S, future: Pin<&'a mut Option<F>>) -> Self {
        Polled { scope, future }
    }
}

impl<S: Scope + Unpin, F: Future> Future for Polled<'_, S, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Polled { scope, future } = self.get_mut();
        let result = {
            let _poll = Running::new(scope);
            let Some(running) = future.as_mut().as_pin_mut() else {
                return Poll::Pending;
            };
            let result = running.poll(context);
            if result.is_ready() {
                future.set(None);
            }
            result
        };
        if result.is_ready() {
            scope.complete();
        }
        result
    }
}

/// One poll.
struct Running<'a, S: Scope>(&'a mut S);

impl<'a, S: Scope> Running<'a, S> {
    fn new(scope: &'a mut S) -> Self {
        scope.resume();
        Running(scope)
    }
}

impl<S: Scope> Drop for Running<'_, S> {
    fn drop(&mut self) {
        self.0.pause();
    }
}
