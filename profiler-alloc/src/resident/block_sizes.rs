//! What a block takes of the memory of the allocator that it comes from.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::OnceLock;

/// What was said of the program's allocator: [`UNASKED`], [`OTHER`], or [`GLIBC`] and the bytes by
/// which each block is asked for with more.
static SAID: AtomicUsize = AtomicUsize::new(UNASKED);
const UNASKED: usize = 0;
const OTHER: usize = 1;
const GLIBC: usize = 2;
static STATED: OnceLock<&'static dyn InnerStatistics> = OnceLock::new();

/// What an allocator inside [`ProfilerAlloc`](crate::ProfilerAlloc) can tell of itself, for the
/// account of the resident memory (`memprof rss`). The system's allocator needs none.
///
/// The methods are called by the recorder, from within an allocation or free, so they must not
/// allocate, and must not wait for a lock that is held while allocating.
///
/// ```
/// use profiler_alloc::InnerStatistics;
///
/// /// An allocator whose blocks are multiples of 64 bytes.
/// struct Lines;
///
/// impl InnerStatistics for Lines {
///     fn block_bytes(&self, size: usize) -> usize {
///         size.next_multiple_of(64)
///     }
/// }
///
/// profiler_alloc::set_inner_statistics(&Lines);
/// ```
pub trait InnerStatistics: Sync {
    /// Bytes of memory that a block takes for which `size` bytes are asked.
    fn block_bytes(&self, size: usize) -> usize;

    /// Bytes that the allocator has resident in all, its caches and bookkeeping included; `None`
    /// if it does not know. What blocks lie in is known without.
    fn resident(&self) -> Option<u64> {
        None
    }
}

/// Says what the allocator inside the program's [`ProfilerAlloc`](crate::ProfilerAlloc) tells of
/// itself. The first one counts; gives whether it was that.
pub fn set_inner_statistics(statistics: &'static dyn InnerStatistics) -> bool {
    STATED.set(statistics).is_ok()
}

/// Whether nobody has said yet what the program's allocator is.
pub fn are_unasked() -> bool {
    SAID.load(Ordering::Relaxed) == UNASKED
}

/// Says that the program's allocator is the GNU C library's, and each block is asked for with so
/// many bytes more; or that it is another.
pub fn say(glibcs: Option<usize>) {
    SAID.store(glibcs.map_or(OTHER, |more| GLIBC + more), Ordering::Relaxed);
}

/// The rule by which an allocator rounds sizes up.
#[derive(Clone, Copy)]
pub enum BlockSizes {
    /// The GNU C library's, when each block is asked for with so many bytes more.
    Glibc { more: usize },
    /// One that the program stated.
    Stated(&'static dyn InnerStatistics),
    /// No rule is known.
    Unknown,
}

/// Bytes before each block of the GNU C library.
const HEAD: usize = 8;
const SMALLEST: usize = 32;
const STEP: usize = 16;

impl BlockSizes {
    /// The rule of the program's allocator, as far as it was told.
    pub fn of_program() -> BlockSizes {
        if let Some(&stated) = STATED.get() {
            return BlockSizes::Stated(stated);
        }
        match SAID.load(Ordering::Relaxed) {
            UNASKED | OTHER => BlockSizes::Unknown,
            glibc => BlockSizes::Glibc {
                more: glibc - GLIBC,
            },
        }
    }

    /// Bytes that the allocator says it has resident.
    pub fn resident(self) -> Option<u64> {
        match self {
            BlockSizes::Stated(statistics) => statistics.resident(),
            _ => None,
        }
    }

    /// Bytes that a block of `size` takes beyond what was asked for. `None` if that is not known.
    ///
    /// The source of the GNU C library's rule is its malloc/malloc.c (`request2size`): the size and
    /// 8 bytes of bookkeeping, a multiple of 16, at least 32.
    pub fn rounding(self, size: usize) -> Option<usize> {
        match self {
            BlockSizes::Glibc { more } => {
                let taken = size.saturating_add(more + HEAD);
                Some(taken.max(SMALLEST).saturating_add(STEP - 1) / STEP * STEP - size)
            }
            BlockSizes::Stated(statistics) => {
                Some(statistics.block_bytes(size).saturating_sub(size))
            }
            BlockSizes::Unknown => None,
        }
    }

    /// Whether the block at `address` is a mapping of its own: the GNU C library gives large blocks
    /// so, 16 bytes into their first page.
    pub fn is_mapping(self, address: usize) -> bool {
        matches!(self, BlockSizes::Glibc { .. }) && address % 4096 == 16
    }

    /// Whether arenas begin at multiples of 64 MiB.
    pub fn has_arenas(self) -> bool {
        matches!(self, BlockSizes::Glibc { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_c_library_rounds_as_it_says() {
        let glibc = BlockSizes::Glibc { more: 0 };
        for (size, taken) in [
            (1, 32),
            (24, 32),
            (25, 48),
            (40, 48),
            (41, 64),
            (1000, 1008),
        ] {
            assert_eq!(glibc.rounding(size), Some(taken - size), "{size}");
        }
        assert_eq!(BlockSizes::Glibc { more: 1 }.rounding(24), Some(24));
        struct Sevens;
        impl InnerStatistics for Sevens {
            fn block_bytes(&self, size: usize) -> usize {
                size + 7
            }
        }
        assert_eq!(BlockSizes::Stated(&Sevens).rounding(9), Some(7));
        assert_eq!(BlockSizes::Unknown.rounding(9), None);
    }

    /// Blocks of a size that lie side by side are as far apart as the rule says.
    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    #[test]
    fn blocks_lie_as_far_apart_as_the_rule_says() {
        let rule = BlockSizes::Glibc { more: 0 };
        for size in [24, 25, 100, 1000, 5000] {
            let blocks: Vec<Vec<u8>> = (0..2_000).map(|_| Vec::with_capacity(size)).collect();
            let address = |block: &Vec<u8>| block.as_ptr().addr();
            let gaps = blocks.windows(2);
            let mut gaps = gaps.map(|pair| address(&pair[0]).abs_diff(address(&pair[1])));
            let expected = size + rule.rounding(size).expect("a rule");
            assert!(gaps.any(|gap| gap == expected), "{size}: {expected}");
        }
    }
}
