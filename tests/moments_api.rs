//! Moments of recordings that are made from code: of other heaps, of contexts, and of a recording
//! within a budget.

use std::hint::black_box;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use memprof::profile::{self, HeapChoice, Profile, Totals, View, When};
use profiler_alloc::{Heap, ProfilerAlloc, Recording, Sample, context, mark};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// A process has one recording at a time.
static ONE: Mutex<()> = Mutex::new(());

fn read(path: &Path) -> Profile {
    let (profile, defects) = profile::read(path).unwrap();
    assert_eq!(defects, []);
    profile
}

fn named(text: &str) -> Option<When> {
    let Ok(when) = text.parse();
    Some(when)
}

/// The profile as it was at a moment, of what was allocated since another.
fn at(profile: &Profile, at: &str, since: Option<&str>) -> Profile {
    let mut profile = profile.clone();
    let view = View {
        at: named(at),
        since: since.and_then(named),
    };
    profile.look_at(&view).unwrap();
    profile
}

fn live(profile: &Profile) -> Totals {
    let mut sum = profile.unattributed;
    for stack in &profile.stacks {
        sum.add(&stack.totals);
    }
    sum
}

/// Nothing is there: the heap only hears of it.
fn place(address: usize) -> *const u8 {
    std::ptr::without_provenance(address)
}

static ARENA: Heap = Heap::named("arena");

#[test]
fn other_heaps_and_contexts_have_moments_to_the_byte() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.memprof");
    let recording = Recording::builder().path(&path).sample(Sample::All);
    let recording = recording.start().unwrap();
    ARENA.allocated(place(0x1000), 700);
    mark("first");
    ARENA.allocated(place(0x2000), 50);
    ARENA.reallocated(place(0x1000), 700, place(0x3000), 900);
    let kept = {
        let _context = context("tenant", "acme");
        black_box(vec![1_u8; 12_345])
    };
    mark("second");
    ARENA.freed(place(0x2000), 50);
    drop(kept);
    mark("third");
    drop(recording);

    let profile = read(&path);
    let mut arena = profile.clone();
    arena
        .select_heap(&HeapChoice::Named("arena".to_owned()))
        .unwrap();
    let bytes = |moment, since| live(&at(&arena, moment, since)).live_bytes;
    assert_eq!(
        ["first", "second", "third", "end"].map(|moment| bytes(moment, None)),
        [700, 950, 900, 900]
    );
    // The larger block is another one, allocated after the first mark.
    assert_eq!(bytes("second", Some("first")), 950);
    assert_eq!(bytes("end", Some("second")), 0);
    assert_eq!(at(&arena, "second", None).heap(), 950);

    let of_tenant = |moment: &str| {
        let mut profile = at(&profile, moment, None);
        let pattern = "tenant=acme".parse().unwrap();
        profile.select_contexts(&[pattern]).unwrap();
        live(&profile).live_bytes
    };
    assert_eq!(["first", "second", "third"].map(of_tenant), [0, 12_345, 0]);
}

#[inline(never)]
fn small() -> Box<[u8; 40]> {
    black_box(Box::new([1; 40]))
}

#[inline(never)]
fn larger(number: usize) -> Vec<u8> {
    black_box(vec![1; 500 + number % 1000])
}

/// So many blocks are live that the recorder tracks fewer, each standing for more, again and again:
/// what was live at a mark is what was counted there, within its error.
#[test]
fn a_budgeted_recording_is_right_at_each_mark_within_its_error() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.memprof");
    let recording = Recording::builder().path(&path).grant(Duration::ZERO);
    let recording = recording.overhead(30.0).start().unwrap();
    let mut boxes = Vec::with_capacity(600_000);
    let mut lists = Vec::with_capacity(60_000);
    let names: Vec<String> = (0..6).map(|round| format!("round {round}")).collect();
    for (round, name) in names.iter().enumerate() {
        boxes.extend((0..100_000).map(|_| small()));
        lists.extend((0..10_000).map(larger));
        if round % 2 == 1 {
            // Every other one, of whatever age.
            let mut number = 0;
            boxes.retain(|_| {
                number += 1;
                number % 2 == 0
            });
            lists.truncate(lists.len() / 2);
        }
        mark(name);
    }
    drop(recording);
    drop((boxes, lists));

    let profile = read(&path);
    assert!(profile.header.interval_widest > 0, "not all was recorded");
    assert_eq!(profile.header.lost_moments, 0);
    let marks: Vec<_> = profile
        .moments
        .all
        .iter()
        .filter(|moment| moment.mark.is_some())
        .collect();
    assert_eq!(marks.len(), names.len());
    for moment in marks {
        let name = moment.mark.as_deref().unwrap();
        let sum = live(&at(&profile, name, None));
        let truth = (moment.heap - profile.header.heap_base as i64) as f64;
        let (off, error) = (sum.live_bytes as f64 - truth, sum.live_variance.sqrt());
        println!("{name}: {} of {truth}, ± {error:.0}", sum.live_bytes);
        assert!(error < truth / 20.0, "{name}: {error} of {truth}");
        // What was in use before the recording, and freed in it, is in none of the two.
        assert!(off.abs() < 5.0 * error + 65_536.0, "{name}: {off}, {error}");
    }
}
