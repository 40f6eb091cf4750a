//! Numbers as text, without allocating: for paths such as `/proc/self/fd/17`.

/// An unsigned number as decimal digits.
pub struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    pub fn new(mut value: u64) -> Decimal {
        let mut digits = [b'0'; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                return Decimal { digits, start };
            }
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_prints_all_digits() {
        assert_eq!(Decimal::new(0).bytes(), b"0");
        assert_eq!(Decimal::new(u64::MAX).bytes(), b"18446744073709551615");
    }
}
