//! Whose recording it is: a child that is forked must never write its parent's file.
//!
//! The word stands on a page that the kernel empties in a forked child (`MADV_WIPEONFORK`), whatever
//! way it was forked: the parent reads 1, the child 0.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::ffi::memory;

const ACTIVE: u64 = 1;
const ENDED: u64 = 2;

/// A word that a forked child finds empty.
pub struct Ownership {
    word: &'static AtomicU64,
}

impl Ownership {
    /// Of the calling process. `None` if the system refuses memory.
    pub fn claim() -> Option<Ownership> {
        const WORDS_OF_PAGE: usize = 512;
        let page: &[AtomicU64] = memory::wiped_on_fork(WORDS_OF_PAGE)?;
        let word = page.first()?;
        word.store(ACTIVE, Ordering::Relaxed);
        Some(Ownership { word })
    }

    /// False in a forked child.
    #[inline]
    pub fn is_ours(&self) -> bool {
        self.word.load(Ordering::Relaxed) != 0
    }

    /// The word to poll, and the value it holds while the recording is active; a forked child reads
    /// 0.
    pub fn active_word(&self) -> (&'static AtomicU64, u64) {
        (self.word, ACTIVE)
    }

    /// From now on nobody is to write what the file says of functions.
    pub fn end(&self) {
        self.word.store(ENDED, Ordering::Release);
    }
}
