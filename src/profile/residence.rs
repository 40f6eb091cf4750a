//! Figures of the last account, stack by stack, as figures of a profile: so each view can show
//! them.

use super::{Profile, Totals};

/// Which figure of [`Touched`](super::Touched).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Residence {
    /// What was asked for and not resident.
    Untouched,
    /// What blocks pin.
    Pinned,
}

impl Profile {
    /// Makes what stacks have live what this figure of them was at the last account, and what they
    /// allocated the blocks that it is of. Everything else of them is nothing.
    pub fn keep_residence(&mut self, which: Residence) {
        let last = self.accounts.last().map(|account| account.time_ns);
        for stack in &mut self.stacks {
            let touched = stack
                .touched
                .filter(|touched| Some(touched.time_ns) == last);
            let live = stack.totals;
            stack.totals = touched.map_or_else(Totals::default, |touched| match which {
                Residence::Untouched => Totals {
                    alloc_bytes: touched.bytes,
                    alloc_count: touched.count,
                    live_bytes: touched.untouched,
                    live_count: touched.count,
                    live_variance: touched.variance,
                    ..Totals::default()
                },
                Residence::Pinned => Totals {
                    alloc_bytes: live.live_bytes,
                    alloc_count: live.live_count,
                    live_bytes: touched.pinned,
                    live_count: live.live_count,
                    ..Totals::default()
                },
            });
        }
        self.unattributed = Totals::default();
    }
}
