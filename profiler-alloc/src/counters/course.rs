//! The course of a count over a stretch of work: where it ended, how low and how high it came, and
//! how far it rose.
//!
//! ```text
//!      0 ──┐   ┌ high        rise: from the lowest point so far to the highest after it
//!          │ ┌─┘ └┐          left: from the lowest point to the end
//!      low └─┘    └ now
//! ```
//! If the count is what a scope allocated minus what it freed, a rise cannot be explained by blocks
//! from before: between two points, no more of what was taken can be gone than was freed there. So
//! the scope held at least its rise of its own, and keeps at least what is left. Courses of two
//! stretches join to that of both, so nothing of a scope has to be kept while it waits.

/// The course of a count that began at 0.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Course {
    now: i64,
    low: i64,
    high: i64,
    rise: i64,
}

impl Course {
    /// It has stayed at 0.
    pub const NONE: Course = Course {
        now: 0,
        low: 0,
        high: 0,
        rise: 0,
    };

    /// The count stands at `now`.
    #[inline]
    pub fn go_to(&mut self, now: i64) {
        self.now = now;
        self.low = self.low.min(now);
        self.high = self.high.max(now);
        self.rise = self.rise.max(now.wrapping_sub(self.low));
    }

    /// This stretch, and then another.
    pub fn then(self, next: Course) -> Course {
        let across = (self.now.wrapping_add(next.high)).wrapping_sub(self.low);
        Course {
            now: self.now.wrapping_add(next.now),
            low: self.low.min(self.now.wrapping_add(next.low)),
            high: self.high.max(self.now.wrapping_add(next.high)),
            rise: self.rise.max(next.rise).max(across),
        }
    }

    /// The most that it stood above any earlier point.
    pub fn rise(&self) -> i64 {
        self.rise
    }

    /// How far it stands above its lowest point.
    pub fn left(&self) -> i64 {
        self.now.wrapping_sub(self.low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(points: &[i64]) -> Course {
        let mut course = Course::default();
        points.iter().for_each(|&point| course.go_to(point));
        course
    }

    #[test]
    fn a_rise_is_from_the_lowest_point_before_it() {
        let gives_back_first = course(&[-1000, -100]);
        assert_eq!(
            (gives_back_first.rise(), gives_back_first.left()),
            (900, 900)
        );
        let takes_twice = course(&[50, -950, -900, -950]);
        assert_eq!((takes_twice.rise(), takes_twice.left()), (50, 0));
        assert_eq!(course(&[]).rise(), 0);
    }

    #[test]
    fn stretches_join_wherever_they_are_cut() {
        let points = [30, -20, 10, 70, -40, -40, 5, 90, 60];
        let whole = course(&points);
        for cut in 0..=points.len() {
            let (first, second) = points.split_at(cut);
            let base = first.last().copied().unwrap_or(0);
            let second: Vec<i64> = second.iter().map(|point| point - base).collect();
            assert_eq!(course(first).then(course(&second)), whole, "cut at {cut}");
        }
        assert_eq!((whole.rise(), whole.left()), (130, 100));
    }
}
