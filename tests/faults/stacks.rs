//! More distinct stacks than the table holds: exact counts stay exact, and what no longer fits is
//! counted under "other".

use std::hint::black_box;

use crate::Named;
use crate::child::{Place, times};

pub const TESTS: &[Named] = &[
    (
        "stacks::more_than_the_table_holds",
        more_than_the_table_holds,
    ),
    ("stacks::met_at_once", met_at_once),
];

pub const ROLES: &[Named] = &[
    ("stacks", visit_stacks),
    ("stacks_at_once", visit_stacks_at_once),
];

/// How many stacks [`visit_stacks`] visits.
pub const LEAVES: &str = "LEAVES";
const DEPTH: u32 = 20;
const SIZE: u64 = 48;

/// Allocates once at the end of each of many ways through a tree of calls.
pub fn visit_stacks() {
    let leaves: u32 = std::env::var(LEAVES).unwrap().parse().unwrap();
    (0..leaves).for_each(|way| descend(way, DEPTH));
}

/// More threads than processors, each on the same ways at once: one that is making room in a table
/// is often held up there.
fn visit_stacks_at_once() {
    let threads = [(); 8].map(|()| std::thread::spawn(visit_stacks));
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Two calls, told apart by their return addresses.
#[inline(never)]
fn descend(way: u32, depth: u32) {
    if depth == 0 {
        drop(black_box(Vec::<u8>::with_capacity(SIZE as usize)));
    } else if way & 1 == 0 {
        descend(way >> 1, depth - 1);
        black_box(0);
    } else {
        descend(way >> 1, depth - 1);
        black_box(1);
    }
}

fn more_than_the_table_holds() {
    let leaves = times(1_000_000, 270_000);
    let place = Place::new();
    let mut command = place.command("stacks", "all");
    assert!(
        command
            .env(LEAVES, leaves.to_string())
            .status()
            .unwrap()
            .success()
    );
    let profile = place.check_totals(0, 0);
    let most = 1 << 18;
    assert!(
        profile.stacks.len() <= most,
        "{} stacks",
        profile.stacks.len()
    );
    assert!(profile.header.lost_stacks > 0 && profile.header.lost_blocks == 0);
    let stacks = profile.stacks.iter().map(|stack| stack.totals.alloc_bytes);
    let other = profile.unattributed.alloc_bytes;
    assert!(
        other as u64 >= (leaves - most) as u64 * SIZE,
        "{other} bytes under \"other\""
    );
    // Nothing is in two places or in none.
    assert_eq!(
        stacks.sum::<i64>() + other,
        place.truth().alloc_bytes as i64
    );
}

/// Threads that meet new stacks together: none goes without a record while another is making room.
fn met_at_once() {
    for _ in 0..times(20, 4) {
        let place = Place::new();
        let mut command = place.command("stacks_at_once", "all");
        assert!(command.env(LEAVES, "12000").status().unwrap().success());
        let (profile, defects) = place.read();
        assert_eq!(defects, []);
        assert!(profile.stacks.len() > 12_000, "{}", profile.stacks.len());
        assert_eq!(profile.header.lost_stacks, 0);
        assert_eq!(profile.unattributed.alloc_bytes, 0);
    }
}
