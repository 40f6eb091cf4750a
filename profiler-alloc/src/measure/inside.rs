//! Futures that run inside a scope, on whichever thread that happens: what carries contexts and the
//! scopes of queries to other tasks.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::scope::Scope;

/// A scope that a future runs inside of.
pub trait Around: Scope {
    /// The future is given up: `give_up` drops it.
    fn around_end(&mut self, give_up: impl FnOnce()) {
        let _inside = Running::new(self);
        give_up();
    }
}

pin_project_lite::pin_project! {
    /// A future that is polled, and dropped, inside a scope.
    #[derive(Debug)]
    pub struct Inside<S: Around, F> {
        scope: S,
        // None once it has come to its end.
        #[pin]
        future: Option<F>,
    }

    impl<S: Around, F> PinnedDrop for Inside<S, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                this.scope.around_end(|| this.future.set(None));
            }
            this.scope.complete();
        }
    }
}

impl<S: Around, F> Inside<S, F> {
    /// `future` will run inside `scope`.
    pub fn new(scope: S, future: F) -> Inside<S, F> {
        Inside {
            scope,
            future: Some(future),
        }
    }
}

impl<S: Around, F: Future> Future for Inside<S, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let running = Running::new(this.scope);
        let result = future.poll(context);
        // What it still holds is freed inside the scope that took it.
        if result.is_ready() {
            this.future.set(None);
        }
        drop(running);
        result
    }
}

/// One poll.
struct Running<'a, S: Scope + ?Sized>(&'a mut S);

impl<'a, S: Scope + ?Sized> Running<'a, S> {
    fn new(scope: &'a mut S) -> Self {
        scope.resume();
        Running(scope)
    }
}

impl<S: Scope + ?Sized> Drop for Running<'_, S> {
    fn drop(&mut self) {
        self.0.pause();
    }
}
