//! Sizes of blocks so large that a block's word has no room for them.
//!
//! ```text
//! below 256 MiB          │ 0 │ size: 28 bits                            │
//! of 23 binary places    │ 1 │ 0 │ power of two: 4 │ size over it: 23 │   3 GiB, and all whole MiB
//! any other              │ 1 │ 1 │ place in a table                     │   1,500,000,001 bytes
//! ```
//! Each size of the last kind has its place in a table for good: a program that has more than a
//! thousand such sizes loses blocks, which is counted.

use core::sync::atomic::{AtomicU64, Ordering};

/// Bits of what stands for a size.
pub const BITS: u32 = 29;
/// The largest size is below this power of two: 2 TiB.
pub const LARGEST_BITS: u32 = 41;

const IS_LARGE: u64 = 1 << (BITS - 1);
const IS_IN_TABLE: u64 = 1 << (BITS - 2);
const DIGITS: u32 = 23;
/// A size of the second kind is a multiple of this power of two at least.
const LEAST_POWER: u32 = BITS - DIGITS;

const PLACES: usize = 1024;

static TABLE: [AtomicU64; PLACES] = [const { AtomicU64::new(0) }; PLACES];

/// What stands for `size`, below `1 << BITS`. `None` if it is too large, or the table is full.
#[inline]
pub fn encode(size: u64) -> Option<u64> {
    match size < IS_LARGE {
        true => Some(size),
        false => encode_large(size, &TABLE),
    }
}

/// The size that `code` stands for.
#[inline]
pub fn decode(code: u64) -> u64 {
    match code & IS_LARGE {
        0 => code,
        _ => decode_large(code, &TABLE),
    }
}

#[cold]
fn encode_large(size: u64, table: &[AtomicU64]) -> Option<u64> {
    if size >> LARGEST_BITS != 0 {
        return None;
    }
    let power = (u64::BITS - size.leading_zeros()).saturating_sub(DIGITS);
    if size.trailing_zeros() >= power {
        let power_code = u64::from(power - LEAST_POWER);
        return Some(IS_LARGE | power_code << DIGITS | size >> power);
    }
    let place = table.iter().position(|place| {
        let taken = match place.load(Ordering::Relaxed) {
            0 => place
                .compare_exchange(0, size, Ordering::Relaxed, Ordering::Relaxed)
                .unwrap_or_else(|taken| taken),
            taken => taken,
        };
        taken == size || place.load(Ordering::Relaxed) == size
    })?;
    Some(IS_LARGE | IS_IN_TABLE | place as u64)
}

#[cold]
fn decode_large(code: u64, table: &[AtomicU64]) -> u64 {
    if code & IS_IN_TABLE != 0 {
        let place = table.get((code & (IS_IN_TABLE - 1)) as usize);
        return place.map_or(0, |place| place.load(Ordering::Relaxed));
    }
    let power = (code >> DIGITS & 0xf) as u32 + LEAST_POWER;
    (code & ((1 << DIGITS) - 1)) << power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_kept_to_the_byte() {
        let sizes = [
            1,
            (1 << 28) - 1,
            1 << 28,
            (1 << 29) - 1,
            1 << 29,
            (1 << 29) + 1,
            1_500_000_001,
            3 << 30,
            (32 << 30) - 4096,
            (1 << 41) - 1,
            (1 << 41) - (1 << 18),
        ];
        for size in sizes {
            let code = encode(size).unwrap();
            assert!(code < 1 << BITS, "{size}");
            assert_eq!(decode(code), size);
            assert_eq!(encode(size), Some(code), "{size} has one code");
        }
        assert_eq!(encode(1 << 41), None);
    }

    #[test]
    fn a_table_that_is_full_says_so() {
        let table = [const { AtomicU64::new(0) }; 2];
        let odd = |n: u64| (1 << 40) + 2 * n + 1;
        let first = encode_large(odd(0), &table);
        assert!(first.is_some() && encode_large(odd(1), &table).is_some());
        assert_eq!(encode_large(odd(2), &table), None);
        assert_eq!(encode_large(odd(0), &table), first);
        assert_eq!(decode_large(first.unwrap(), &table), odd(0));
    }
}
