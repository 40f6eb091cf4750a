//! Numbers from many calls: how many, least, median, most, total, in bounded memory.

use super::json::Object;

/// Numbers kept for the median. When there are more, every other one goes, and then only every other one is kept.
const KEPT: usize = 1 << 16;

/// Numbers so far.
#[derive(Debug)]
pub(super) struct Histogram {
    count: u64,
    total: i128,
    min: i64,
    max: i64,
    kept: Vec<i64>,
    stride: u64,
}

/// What numbers from many calls come to.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub struct Spread {
    /// How many numbers.
    pub count: u64,
    /// The least.
    pub min: i64,
    /// The middle one; of an even share of them, where there were more than 65,536.
    pub median: i64,
    /// The greatest.
    pub max: i64,
    /// Their sum.
    pub total: i64,
}

impl Histogram {
    pub const fn new() -> Histogram {
        Histogram {
            count: 0,
            total: 0,
            min: i64::MAX,
            max: i64::MIN,
            kept: Vec::new(),
            stride: 1,
        }
    }

    pub fn add(&mut self, number: i64) {
        if self.count.is_multiple_of(self.stride) {
            if self.kept.len() == KEPT {
                let mut place = 0;
                self.kept.retain(|_| {
                    place += 1;
                    place % 2 == 1
                });
                self.stride *= 2;
            }
            if self.count.is_multiple_of(self.stride) {
                self.kept.push(number);
            }
        }
        self.count += 1;
        self.total += i128::from(number);
        self.min = self.min.min(number);
        self.max = self.max.max(number);
    }

    /// `None` if there are no numbers.
    pub fn spread(&self) -> Option<Spread> {
        let mut sorted = self.kept.clone();
        sorted.sort_unstable();
        let median = *sorted.get(sorted.len().checked_sub(1)? / 2)?;
        Some(Spread {
            count: self.count,
            min: self.min,
            median,
            max: self.max,
            total: self.total.clamp(i64::MIN.into(), i64::MAX.into()) as i64,
        })
    }
}

impl Spread {
    pub(super) fn json(&self) -> Object {
        Object::new()
            .number("min", self.min)
            .number("median", self.median)
            .number("max", self.max)
            .number("total", self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_the_middle() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.spread(), None);
        [5, -1, 3]
            .into_iter()
            .for_each(|number| histogram.add(number));
        let spread = histogram.spread().unwrap();
        assert_eq!(
            (
                spread.count,
                spread.min,
                spread.median,
                spread.max,
                spread.total
            ),
            (3, -1, 3, 5, 7)
        );
    }

    #[test]
    fn many_numbers_take_bounded_memory() {
        let mut histogram = Histogram::new();
        (0..1_000_000).for_each(|number| histogram.add(number));
        assert!(histogram.kept.len() <= KEPT);
        let spread = histogram.spread().unwrap();
        assert_eq!((spread.count, spread.max), (1_000_000, 999_999));
        assert!(
            (490_000..510_000).contains(&spread.median),
            "{}",
            spread.median
        );
    }
}
