//! The points of the timeline in the order of time, also when the recorder was just making room for
//! more.
//!
//! It does so in a full table: the points with even numbers move to the front, one by one, and then
//! the count is halved. A reader that looks meanwhile finds copies of the points that have moved,
//! among the ones that are to go; so does one that read the count before, while there still was
//! room.
//!
//! ```text
//! before      0 1 2 3 4 5 6 7 8 9
//! meanwhile   0 2 4 6 4 5 6 7 8 9      4 and 6 stand there twice, 5 is to go
//! after       0 2 4 6 8
//! ```

use profiler_alloc_format::{CHUNK_LEN, Point};

/// Points that the table has room for.
const FULL: usize = CHUNK_LEN / Point::LEN;

/// The points that are in order, and how many others there were, but for those that the recorder
/// has left behind.
pub fn in_order(records: &[Point]) -> (Vec<Point>, u64) {
    let mut points: Vec<Point> = Vec::with_capacity(records.len());
    let mut behind = Vec::new();
    let mut copies = 0;
    for record in records.iter().filter(|record| record.time_ns != 0) {
        let point = Point {
            time_ns: record.time_ns - 1,
            ..*record
        };
        match points.last() {
            Some(last) if last.time_ns > point.time_ns => behind.push(point.time_ns),
            last => {
                copies += usize::from(last.is_some_and(|last| last.time_ns == point.time_ns));
                points.push(point);
            }
        }
    }
    let is_copy = |time: &&u64| {
        points
            .binary_search_by_key(*time, |point| point.time_ns)
            .is_ok()
    };
    copies += behind.iter().filter(is_copy).count();
    // Every other one of those left behind has moved.
    let are_left = records.len() > FULL / 2 && copies > 0 && behind.len() <= 2 * copies + 1;
    (points, if are_left { 0 } else { behind.len() as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(time_ns: usize) -> Point {
        Point {
            time_ns: time_ns as u64 + 1,
            ..Point::empty()
        }
    }

    fn times(points: &[Point]) -> Vec<usize> {
        points.iter().map(|point| point.time_ns as usize).collect()
    }

    #[test]
    fn whoever_looks_while_room_is_made_misses_nothing() {
        let mut table: Vec<Point> = (0..FULL).map(point).collect();
        for moved in 1..FULL / 2 {
            table[moved] = point(2 * moved);
            let (points, dropped) = in_order(&table);
            assert_eq!(dropped, 0, "{moved} points have moved");
            let times = times(&points);
            assert!(times.is_sorted() && times.last() == Some(&(FULL - 1)));
            let (moved, rest) = times.split_at(moved + 1);
            assert!(moved.iter().copied().eq((0..moved.len()).map(|at| 2 * at)));
            assert!(rest.len() >= FULL - 2 * moved.len());
        }
        // The count was read before, the points after, and there are new ones already.
        for new in 0..12 {
            table[FULL / 2 + new] = point(FULL + new);
            for count in [FULL - 200, FULL - 1, FULL] {
                let (points, dropped) = in_order(&table[..count]);
                assert_eq!(dropped, 0, "{new} points are new, {count} were counted");
                assert_eq!(points.last().unwrap().time_ns, (FULL + new) as u64);
            }
        }
    }

    #[test]
    fn points_that_stand_nowhere_else_are_damage() {
        let mut table: Vec<Point> = (0..FULL).map(|at| point(10 * at)).collect();
        (100..110).for_each(|at| table[at] = point(at));
        assert_eq!(in_order(&table).1, 10);
        let short = [point(0), point(20), point(40), point(20), point(40)];
        assert_eq!(
            in_order(&short).1,
            1,
            "a table with room is not made room in"
        );
    }
}
