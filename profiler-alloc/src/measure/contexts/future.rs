//! Futures that are polled, and dropped, with contexts in force, on whichever thread that happens.

use core::future::Future;
use core::pin::Pin;
use core::task::Poll;

use super::visit::{Continued, Visit};
use crate::measure::scope::{Entered, Scope};

pin_project_lite::pin_project! {
    /// What [`InContext::in_context`](crate::InContext::in_context) and
    /// [`Context::carry`](crate::Context::carry) return.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct WithinContext<F> {
        visiting: Visiting,
        // None once it has come to its end.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for WithinContext<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                this.visiting.drop_inside(|| this.future.set(None));
            }
            this.visiting.complete();
        }
    }
}

impl<F> WithinContext<F> {
    pub(super) fn new(visiting: Visiting, future: F) -> WithinContext<F> {
        WithinContext {
            visiting,
            future: Some(future),
        }
    }
}

impl<F: Future> Future for WithinContext<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut core::task::Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let visit = OnePoll::new(this.visiting);
        let result = future.poll(context);
        // What it still holds is freed in the context that took it.
        if result.is_ready() {
            this.future.set(None);
        }
        drop(visit);
        result
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

impl Visiting {
    /// The future is given up. One that was never polled is no entry; what it frees is freed in its
    /// context all the same.
    fn drop_inside(&mut self, give_up: impl FnOnce()) {
        let set = match self {
            Visiting::Entered(visit) if !visit.is_over => {
                let _inside = OnePoll::new(self);
                return give_up();
            }
            Visiting::Entered(visit) => visit.set,
            Visiting::Continued(continued) => continued.set,
        };
        let _running = Entered::new(Continued::new(set));
        give_up();
    }
}

/// One poll.
struct OnePoll<'a>(&'a mut Visiting);

impl<'a> OnePoll<'a> {
    fn new(visiting: &'a mut Visiting) -> Self {
        visiting.resume();
        OnePoll(visiting)
    }
}

impl Drop for OnePoll<'_> {
    fn drop(&mut self) {
        self.0.pause();
    }
}
