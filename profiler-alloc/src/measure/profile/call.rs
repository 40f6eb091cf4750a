//! One call of a function: where its counters are, and what of it is under way.

use super::local::{Key, Outer};
use super::table::{Table, TakenBlock};
use crate::measure::enabled;
use crate::measure::installed;
use crate::measure::scope::Scope;

/// One call of the function.
#[derive(Debug)]
pub struct ProfileCall<const W: usize> {
    table: &'static Table,
    key: Key<W>,
    /// Where the call goes on; 0, the line of the `fn`, before it begins.
    slot: u32,
    is_begun: bool,
    running: Option<RunningCall>,
    /// Heap in use when it began.
    heap: i64,
    /// Counters of this call alone, if each call is to be reported.
    own: Option<TakenBlock>,
}

#[derive(Debug)]
enum RunningCall {
    /// The thread is in no other call of the function. `None` if the call has its own counters.
    Outermost(Option<TakenBlock>),
    Inner(Outer),
}

impl<const W: usize> Scope for ProfileCall<W> {
    #[inline]
    fn resume(&mut self) {
        self.key.with(|local| {
            let running = if local.is_idle() {
                if self.table.reports_each_call() && self.own.is_none() {
                    self.table.announce();
                    self.own = Some(self.table.take());
                }
                let taken = match self.own {
                    Some(_) => None,
                    None => Some(self.table.take()),
                };
                if let Some(taken) = taken.as_ref().or(self.own.as_ref()) {
                    let is_rss = !installed::is_heap_known();
                    local.enter(self.table, taken, is_rss, self.slot);
                }
                RunningCall::Outermost(taken)
            } else {
                RunningCall::Inner(local.nest(self.slot))
            };
            self.running = Some(running);
            if !self.is_begun {
                self.is_begun = true;
                self.heap = local.count_call();
                self.table.called(self.heap);
            }
        });
    }

    #[inline]
    fn pause(&mut self) {
        self.key.with(|local| {
            self.slot = local.slot();
            match self.running.take() {
                Some(RunningCall::Inner(outer)) => local.unnest(&outer),
                Some(RunningCall::Outermost(taken)) => {
                    local.leave();
                    drop(taken);
                }
                None => {}
            }
            local.update_active();
        });
    }
}

impl<const W: usize> Drop for ProfileCall<W> {
    #[inline]
    fn drop(&mut self) {
        if let Some(own) = self.own.take() {
            self.table.report_call(own, self.heap);
        }
    }
}

/// A call of the function begins.
#[inline]
pub fn call<const W: usize>(table: &'static Table, key: Key<W>) -> Option<ProfileCall<W>> {
    if !enabled::is_on() {
        return None;
    }
    table.register();
    Some(ProfileCall {
        table,
        key,
        slot: 0,
        is_begun: false,
        running: None,
        heap: 0,
        own: None,
    })
}
