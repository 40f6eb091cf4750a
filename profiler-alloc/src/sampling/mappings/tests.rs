//! The table of mappings against a map of bytes, and within its bounds.

use super::*;

fn ranges(mappings: &Mappings) -> Vec<(usize, usize, bool)> {
    let open = mappings.open(0).unwrap();
    let range = |at| {
        open.get(at)
            .map(|range| (range.start, range.end, range.is_reserved()))
    };
    (0..open.count).filter_map(range).collect()
}

fn take_all(mappings: &Mappings, start: usize, end: usize) -> u64 {
    let mut sum = 0;
    while let Some(part) = mappings
        .open(0)
        .unwrap()
        .take(start, end, Which::All)
        .unwrap()
    {
        sum += part.len();
    }
    sum
}

#[test]
fn parts_are_taken_out_of_several_ranges() {
    let mappings = Mappings::new();
    for start in [50, 10, 30] {
        mappings
            .open(0)
            .unwrap()
            .add(Range::accessible(start, 10))
            .unwrap();
    }
    mappings
        .open(0)
        .unwrap()
        .add(Range::reserved(20, 10))
        .unwrap();
    // The end of one, all of two, the beginning of the last.
    assert_eq!(take_all(&mappings, 15, 55), 5 + 10 + 10 + 5);
    assert_eq!(ranges(&mappings), [(55, 60, false), (10, 15, false)]);
    // From the middle of one, which becomes two.
    assert_eq!(take_all(&mappings, 56, 58), 2);
    assert_eq!(
        ranges(&mappings),
        [(58, 60, false), (55, 56, false), (10, 15, false)]
    );
    assert_eq!(take_all(&mappings, 0, usize::MAX), 8);
    assert_eq!(take_all(&mappings, 0, usize::MAX), 0);
}

#[test]
fn only_those_that_are_meant_are_taken() {
    let mappings = Mappings::new();
    mappings
        .open(0)
        .unwrap()
        .add(Range::reserved(0, 100))
        .unwrap();
    let take = |which| mappings.open(0).unwrap().take(10, 30, which).unwrap();
    assert_eq!(take(Which::Accessible), None);
    assert_eq!(take(Which::Reserved), Some(Range::reserved(10, 20)));
    assert_eq!(ranges(&mappings), [(30, 100, true), (0, 10, true)]);
}

/// Against a byte for each address.
#[test]
fn any_order_of_additions_and_cuts_leaves_what_a_map_of_bytes_has() {
    let mappings = Mappings::new();
    let mut bytes = [false; 256];
    let mut state = 5u64;
    let mut draw = |most: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((state >> 33) % most) as usize
    };
    for _ in 0..5_000 {
        let (start, len) = (draw(250), draw(40) + 1);
        let end = (start + len).min(256);
        let held = bytes[start..end].iter().filter(|&&is_held| is_held).count();
        assert_eq!(take_all(&mappings, start, end), held as u64);
        let adds = draw(2) == 0;
        if adds {
            let range = Range::accessible(start, end - start);
            mappings.open(0).unwrap().add(range).unwrap();
        }
        bytes[start..end].fill(adds);
    }
    let held = bytes.iter().filter(|&&is_held| is_held).count();
    assert_eq!(take_all(&mappings, 0, 256), held as u64);
}

#[test]
fn a_sample_is_of_one_recording_and_of_every_part() {
    let mappings = Mappings::new();
    let block = Block::new(64, 4096, 7, 0, 1).unwrap();
    let mut open = mappings.open(1).unwrap();
    open.add(Range::accessible(4096, 8192)).unwrap();
    assert!(!open.note_sample(8192, block));
    assert!(open.note_sample(4096, block));
    let part = open.take(8192, 12288, Which::All).unwrap().unwrap();
    assert_eq!(part.sample().map(Block::stack), Some(7));
    drop(open);
    let rest = mappings
        .open(2)
        .unwrap()
        .take(0, 12288, Which::All)
        .unwrap();
    assert_eq!(rest.and_then(|rest| rest.sample()), None);
}

#[test]
fn a_part_stands_for_its_share() {
    for interval in [0, 1 << 20] {
        let whole = weights::weight(1 << 20, interval);
        let half = part(1 << 20, interval, 1 << 19);
        assert_eq!(half.bytes, (whole.bytes as f64 / 2.0).round() as u64);
        assert_eq!(part(1 << 20, interval, 1 << 20), whole);
        assert_eq!(part(1 << 20, interval, 0).bytes, 0);
    }
}

#[test]
fn nobody_waits_and_nothing_grows_beyond_its_bound() {
    let mappings = Mappings::new();
    let open = mappings.open(0).unwrap();
    let busy = || mappings.open(0).err() == Some(Refused::Busy);
    assert!(busy(), "in the midst of it");
    assert!(std::thread::scope(|scope| scope
        .spawn(busy)
        .join()
        .unwrap()));
    drop(open);
    let mut open = mappings.open(0).unwrap();
    for number in (0..MOST).rev() {
        open.add(Range::accessible(number * 8192, 8192)).unwrap();
    }
    assert_eq!(
        open.add(Range::accessible(MOST * 8192, 1)),
        Err(Refused::Full)
    );
    assert_eq!(open.take(1, 2, Which::All), Err(Refused::Full));
    assert!(open.take(0, 8192, Which::All).unwrap().is_some());
    core::mem::forget(open);
    assert!(mappings.is_lost_by_fork() && !mappings.is_lost_by_fork());
    assert!(ranges(&mappings).is_empty());
}
