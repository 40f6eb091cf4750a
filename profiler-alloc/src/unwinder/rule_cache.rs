//! The unwind rules compiled so far, found again by one probe.
//!
//! A rule stands at the place that its site's hash names, if that was free when it came; else in an index beside. Neither is
//! ever changed or removed, so a key that is there has its own rule behind it, or none for the moment it takes to store it.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::ffi::memory;
use crate::hash::spread_high;
use crate::lockfree::index::Index;
use crate::unwinder::cfi::Rule;
use crate::unwinder::modules::Site;

const PLACE_BITS: u32 = 13;
const WORDS: usize = 2 << PLACE_BITS;

pub struct Rules {
    /// Key and rule in turn.
    places: &'static [AtomicU64; WORDS],
    crowded: Index,
}

impl Rules {
    /// `None` if the system refuses memory.
    pub fn new() -> Option<Rules> {
        Some(Rules {
            places: memory::zeroed(WORDS)?.try_into().ok()?,
            crowded: Index::new(10),
        })
    }

    #[inline]
    pub fn find(&self, site: Site) -> Option<Rule> {
        let place = place(site);
        if self.places[place].load(Ordering::Relaxed) == site.to_bits() {
            let bits = self.places[place + 1].load(Ordering::Relaxed);
            if bits != 0 {
                return Some(Rule::from_bits(bits));
            }
        }
        self.crowded
            .find(site.to_bits(), |_| true)
            .map(Rule::from_bits)
    }

    pub fn insert(&self, site: Site, rule: Rule) {
        let place = place(site);
        let claim = self.places[place].compare_exchange(
            0,
            site.to_bits(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        match claim {
            Ok(_) => self.places[place + 1].store(rule.to_bits(), Ordering::Relaxed),
            Err(_) => drop(self.crowded.insert(site.to_bits(), rule.to_bits())),
        }
    }

    /// Bytes of address space.
    pub fn bytes(&self) -> usize {
        size_of_val(self.places) + self.crowded.bytes()
    }
}

/// The word where the site's key belongs.
#[inline]
fn place(site: Site) -> usize {
    let hash = spread_high(site.to_bits()) >> (64 - PLACE_BITS);
    2 * hash as usize % WORDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_found_again_crowded_or_not() {
        let rules = Rules::new().unwrap();
        let rule = |n: usize| Rule::from_bits(1 << 63 | n as u64);
        let sites = || (1..=WORDS).map(|n| (n, Site::staying(0x5555_0000_0000 + 7 * n)));
        assert!(sites().all(|(_, site)| rules.find(site).is_none()));
        sites().for_each(|(n, site)| rules.insert(site, rule(n)));
        assert!(sites().all(|(n, site)| rules.find(site) == Some(rule(n))));
    }
}
