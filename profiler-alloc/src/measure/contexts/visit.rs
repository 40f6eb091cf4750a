//! How long contexts are in force: an entry of their own, or a part of one.

use crate::contexts::sets;
use crate::measure::scope::Scope;
use crate::session::context_counts::{self, ContextEntry};

/// An entry of contexts: one guard, all polls of a future, a span.
#[derive(Debug)]
pub struct Visit {
    pub set: sets::Id,
    entered: Option<ContextEntry>,
    /// Bytes allocated so far.
    allocated: u64,
    /// It was never entered, or it is over.
    pub is_over: bool,
}

impl Visit {
    #[inline]
    pub fn new(set: sets::Id) -> Visit {
        Visit {
            set,
            entered: None,
            allocated: 0,
            is_over: true,
        }
    }
}

impl Scope for Visit {
    #[inline]
    fn resume(&mut self) {
        if self.set != 0 {
            self.entered = Some(ContextEntry::enter(self.set));
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
            context_counts::count_entry(self.set, self.allocated);
        }
    }
}

/// Contexts in force that were entered elsewhere.
#[derive(Debug)]
pub struct Continued {
    pub set: sets::Id,
    entered: Option<ContextEntry>,
}

impl Continued {
    pub fn new(set: sets::Id) -> Continued {
        Continued { set, entered: None }
    }
}

impl Scope for Continued {
    fn resume(&mut self) {
        if self.set != 0 {
            self.entered = Some(ContextEntry::enter(self.set));
        }
    }

    fn pause(&mut self) {
        if let Some(entered) = self.entered.take() {
            entered.leave();
        }
    }
}
