//! Futures that are polled, and dropped, with contexts in force, on whichever thread that happens.

use core::future::Future;
use core::pin::Pin;
use core::task::Poll;

use super::visit::{Continued, Visit};
use crate::measure::inside::{Around, Inside};
use crate::measure::scope::{Entered, Scope};

pin_project_lite::pin_project! {
    /// What [`InContext::in_context`](crate::InContext::in_context) and
    /// [`Context::carry`](crate::Context::carry) return.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct WithinContext<F> {
        #[pin]
        inside: Inside<Visiting, F>,
    }
}

impl<F> WithinContext<F> {
    pub(super) fn new(visiting: Visiting, future: F) -> WithinContext<F> {
        WithinContext {
            inside: Inside::new(visiting, future),
        }
    }
}

impl<F: Future> Future for WithinContext<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut core::task::Context<'_>) -> Poll<F::Output> {
        self.project().inside.poll(context)
    }
}

/// How a future's contexts count.
#[derive(Debug)]
pub(super) enum Visiting {
    /// As an entry of their own.
    Entered(Visit),
    /// As a part of one.
    Continued(Continued),
}

impl Scope for Visiting {
    fn resume(&mut self) {
        match self {
            Visiting::Entered(visit) => visit.resume(),
            Visiting::Continued(continued) => continued.resume(),
        }
    }

    fn pause(&mut self) {
        match self {
            Visiting::Entered(visit) => visit.pause(),
            Visiting::Continued(continued) => continued.pause(),
        }
    }

    fn complete(&mut self) {
        if let Visiting::Entered(visit) = self {
            visit.complete();
        }
    }
}

impl Around for Visiting {
    /// A future that was never polled is no entry; what it frees is freed in its context all the
    /// same.
    fn around_end(&mut self, give_up: impl FnOnce()) {
        let set = match self {
            Visiting::Entered(visit) if !visit.is_over => {
                let _inside = Entered::new(Polls(visit));
                return give_up();
            }
            Visiting::Entered(visit) => visit.set,
            Visiting::Continued(continued) => continued.set,
        };
        let _running = Entered::new(Continued::new(set));
        give_up();
    }
}

/// An entry that goes on, and is not over after this.
struct Polls<'a>(&'a mut Visit);

impl Scope for Polls<'_> {
    fn resume(&mut self) {
        self.0.resume();
    }

    fn pause(&mut self) {
        self.0.pause();
    }
}
