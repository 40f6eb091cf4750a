//! What probes leave behind in blocks and closures, to probe again when these are over.

use super::local::{Key, Outer, at, pass};

/// Goes back to the line of the statement around a block, when the block is over.
#[derive(Debug)]
pub struct Back<const W: usize> {
    key: Key<W>,
    slot: u32,
    is_run: bool,
}

impl<const W: usize> Back<W> {
    /// To the line `slot`; `is_run` if that counts as another run of it, as with loops.
    #[inline]
    pub fn new(key: Key<W>, slot: u32, is_run: bool) -> Back<W> {
        Back { key, slot, is_run }
    }
}

impl<const W: usize> Drop for Back<W> {
    #[inline]
    fn drop(&mut self) {
        if self.is_run {
            at(self.key, self.slot);
        } else {
            pass(self.key, self.slot);
        }
    }
}

/// Goes to the line of the closing brace before the values of a block are dropped.
#[derive(Debug)]
pub struct Brace<const W: usize> {
    key: Key<W>,
    slot: u32,
}

impl<const W: usize> Brace<W> {
    /// To the line `slot`.
    #[inline]
    pub fn new(key: Key<W>, slot: u32) -> Brace<W> {
        Brace { key, slot }
    }
}

impl<const W: usize> Drop for Brace<W> {
    #[inline]
    fn drop(&mut self) {
        pass(self.key, self.slot);
    }
}

/// A run of a closure of the function, inside a call of the function; one elsewhere is not looked at.
#[derive(Debug)]
pub struct Nested<const W: usize> {
    key: Key<W>,
    outer: Option<Outer>,
}

impl<const W: usize> Nested<W> {
    /// The closure begins at the line `slot`.
    pub fn new(key: Key<W>, slot: u32) -> Nested<W> {
        let outer = key.with(|local| local.is_active().then(|| local.nest(slot)));
        Nested { key, outer }
    }
}

impl<const W: usize> Drop for Nested<W> {
    fn drop(&mut self) {
        if let Some(outer) = &self.outer {
            self.key.with(|local| local.unnest(outer));
        }
    }
}

/// From here on a future is being dropped: no statement of it runs, and nothing is charged.
#[derive(Debug)]
pub struct SuspendProbes<const W: usize>(Key<W>);

impl<const W: usize> SuspendProbes<W> {
    /// For a future of the function `key`.
    pub fn new(key: Key<W>) -> SuspendProbes<W> {
        SuspendProbes(key)
    }
}

impl<const W: usize> Drop for SuspendProbes<W> {
    fn drop(&mut self) {
        self.0.with(|local| {
            local.suspend_probes(1);
        });
    }
}

/// Ends what [`SuspendProbes`] began; declared before the future, so that it is dropped after it.
#[derive(Debug)]
pub struct ResumeProbes<const W: usize>(Key<W>);

impl<const W: usize> ResumeProbes<W> {
    /// For a future of the function `key`.
    pub fn new(key: Key<W>) -> ResumeProbes<W> {
        ResumeProbes(key)
    }
}

impl<const W: usize> Drop for ResumeProbes<W> {
    fn drop(&mut self) {
        self.0.with(|local| {
            local.suspend_probes(-1);
        });
    }
}
