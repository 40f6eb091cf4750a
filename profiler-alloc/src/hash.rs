//! Hashes of addresses and numbers, for tables of powers of two.
//!
//! Example: blocks of 64 bytes at 0x7f00_0000_1000, 0x7f00_0000_1040, … differ in a few bits only;
//! a table that took the low bits as they are would put them all into a sixty-fourth of its places.

/// Spreads every bit of a key over the low bits (the finalizer of MurmurHash3).
#[inline]
pub fn mix(key: u64) -> u64 {
    let mixed = (key ^ (key >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

/// As [`mix`], cheaper: of the result, only the high bits are spread (Fibonacci hashing, 2^64 over
/// the golden ratio).
#[inline(always)]
pub const fn spread_high(key: u64) -> u64 {
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
