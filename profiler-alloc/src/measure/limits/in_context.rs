//! What is done in a context while a scope is open, on whichever thread.

use crate::contexts::names;
use crate::session::context_counts::{self, ContextCounts};
use crate::session::context_watch::WatchedContext;

/// A context, and what was done in it before.
#[derive(Debug)]
pub struct ContextUse {
    watched: WatchedContext,
    context: names::Id,
    before: ContextCounts,
}

impl ContextUse {
    /// From now on. `None` if too many are watched already.
    pub fn begin(context: names::Id) -> Option<ContextUse> {
        let watched = WatchedContext::take(context)?;
        context_counts::bring_up_to_date();
        let before = context_counts::sum(context);
        watched.begin_at(before.held());
        Some(ContextUse {
            watched,
            context,
            before,
        })
    }

    /// What was done in the context since then, and the most that it held. *Bytes.*
    pub fn so_far(&self) -> (ContextCounts, i64) {
        context_counts::bring_up_to_date();
        let done = context_counts::sum(self.context).since(self.before);
        (done, self.watched.highest().max(done.held()))
    }
}
