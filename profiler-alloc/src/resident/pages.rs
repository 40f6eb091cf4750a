//! What is free on the pages that blocks in use are on: the allocator cannot give these pages back,
//! so the blocks pin it.
//!
//! ```text
//! page   │ block 1008 │ free 1008 │ free 1008 │ block 1008 │ free 64 │
//!          pins 1040                            pins 1040
//! ```
//! What is free of a page is shared out among its blocks by what they take of it.

use crate::ffi::memory::OwnedSlice;
use crate::ffi::residence::PAGE;
use crate::resident::mappings::MemoryMap;

/// Regions of the heap, at most; and pages of them: 64 GiB.
const MOST_REGIONS: usize = 4 << 10;
const MOST_PAGES: usize = 16 << 20;

/// How much of each page of the heap is taken.
pub struct Pages {
    /// Bytes taken of each page.
    taken: OwnedSlice<u16>,
    /// Start and end of each region of the heap, and the number of its first page.
    regions: OwnedSlice<[u64; 3]>,
    count: usize,
    last: usize,
}

impl Pages {
    /// Of the regions that are the allocator's, where nothing is taken yet. `None` if they are too
    /// many, or the system has no memory.
    pub fn of(mappings: &MemoryMap) -> Option<Pages> {
        let mut regions: OwnedSlice<[u64; 3]> = OwnedSlice::zeroed(MOST_REGIONS)?;
        let (mut count, mut pages) = (0, 0);
        for (start, end) in mappings.heap_regions() {
            *regions.get_mut(count)? = [start as u64, end as u64, pages as u64];
            count += 1;
            pages += (end - start) / PAGE;
        }
        (pages <= MOST_PAGES).then_some(())?;
        Some(Pages {
            taken: OwnedSlice::zeroed(pages)?,
            regions,
            count,
            last: 0,
        })
    }

    /// `len` bytes at `address` are taken.
    pub fn take(&mut self, address: usize, len: usize) {
        for (page, bytes) in parts(address, len).into_iter().flatten() {
            if let Some(number) = self.number(page) {
                let taken = &mut self.taken[number];
                *taken = taken.saturating_add(bytes as u16).min(PAGE as u16);
            }
        }
    }

    /// What `len` bytes at `address`, which are taken, pin.
    pub fn pinned(&mut self, address: usize, len: usize) -> f64 {
        let parts = parts(address, len).into_iter().flatten();
        let pinned = parts.map(|(page, bytes)| {
            let taken = self.number(page).map_or(PAGE as u16, |at| self.taken[at]);
            let taken = usize::from(taken).max(bytes);
            (PAGE - taken) as f64 * bytes as f64 / taken as f64
        });
        pinned.sum()
    }

    /// Number of the page at `address`.
    fn number(&mut self, address: usize) -> Option<usize> {
        let holds = |region: &[u64; 3]| (region[0]..region[1]).contains(&(address as u64));
        if !self.regions[..self.count].get(self.last).is_some_and(holds) {
            let regions = &self.regions[..self.count];
            self.last = regions.partition_point(|region| region[1] <= address as u64);
        }
        let region = self.regions[..self.count]
            .get(self.last)
            .filter(|region| holds(region))?;
        Some(region[2] as usize + (address - region[0] as usize) / PAGE)
    }
}

/// The first and the last page of `len` bytes at `address`, and how many of the bytes are there.
/// All pages between are full.
fn parts(address: usize, len: usize) -> [Option<(usize, usize)>; 2] {
    let first = address & !(PAGE - 1);
    let end = address.saturating_add(len);
    let last = end.saturating_sub(1) & !(PAGE - 1);
    match (len, first == last) {
        (0, _) => [None, None],
        (_, true) => [Some((first, len)), None],
        _ => [
            Some((first, first + PAGE - address)),
            Some((last, end - last)),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(regions: &[(usize, usize)]) -> Pages {
        let mut all: OwnedSlice<[u64; 3]> = OwnedSlice::zeroed(8).unwrap();
        let mut count = 0;
        for (place, &(start, end)) in all.iter_mut().zip(regions) {
            *place = [(start * PAGE) as u64, (end * PAGE) as u64, count as u64];
            count += end - start;
        }
        Pages {
            taken: OwnedSlice::zeroed(count).unwrap(),
            regions: all,
            count: regions.len(),
            last: 0,
        }
    }

    #[test]
    fn what_is_free_of_a_page_is_its_blocks_to_pin() {
        let mut pages = pages(&[(10, 14), (20, 22)]);
        let at = |page: usize, offset: usize| page * PAGE + offset;
        // One block alone, two that share, one over the edge of two pages, one that fills three.
        let blocks = [
            (at(10, 0), 1000),
            (at(11, 0), 1000),
            (at(11, 3000), 500),
            (at(12, 4000), 200),
            (at(20, 4095), 2),
        ];
        for (address, len) in blocks {
            pages.take(address, len);
        }
        let pinned: Vec<f64> = blocks
            .map(|(address, len)| pages.pinned(address, len))
            .into();
        let expected = [
            3096.0,
            2596.0 / 1.5,
            2596.0 / 3.0,
            4000.0 + 3992.0,
            2.0 * 4095.0,
        ];
        for (pinned, expected) in pinned.iter().zip(expected) {
            assert!((pinned - expected).abs() < 1e-6, "{pinned} {expected}");
        }
        // No page but those with a block has anything pinned.
        let sum: f64 = pinned.iter().sum();
        let free = [3096, 2596, 4000, 3992, 4095, 4095];
        assert!((sum - f64::from(free.iter().sum::<i32>())).abs() < 1e-6);
    }

    #[test]
    fn what_lies_elsewhere_or_is_full_pins_nothing() {
        let mut pages = pages(&[(10, 12)]);
        pages.take(3 * PAGE, 100);
        assert_eq!(pages.pinned(3 * PAGE, 100), 0.0);
        pages.take(10 * PAGE, 2 * PAGE);
        assert_eq!(pages.pinned(10 * PAGE, 2 * PAGE), 0.0);
        // Blocks that overlap, as an address may be reused meanwhile.
        pages.take(10 * PAGE, 2 * PAGE);
        assert_eq!(pages.pinned(10 * PAGE, 2 * PAGE), 0.0);
        assert_eq!(pages.pinned(10 * PAGE, 0), 0.0);
    }
}
