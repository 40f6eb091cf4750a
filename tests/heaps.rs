//! Heaps of a program's own, beside that of its allocator: against a ledger that the program keeps
//! itself, to the byte.

mod built;

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use memprof::profile::{self, Heap, HeapChoice, Profile, Totals};
use profiler_alloc::{Heap as OwnHeap, ProfilerAlloc, Recording, Sample};
use tempfile::TempDir;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// A process has one recording at a time.
static ONE: Mutex<()> = Mutex::new(());

fn one() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands out parts of one chunk, one after the other, and begins anew when all are given back.
struct Arena {
    heap: &'static OwnHeap,
    chunk: Vec<u8>,
    used: usize,
    blocks: usize,
}

impl Arena {
    fn new(heap: &'static OwnHeap) -> Arena {
        Arena {
            heap,
            chunk: vec![0; 1 << 20],
            used: 0,
            blocks: 0,
        }
    }

    fn take(&mut self, size: usize) -> *mut u8 {
        let block = self.chunk[self.used..].as_mut_ptr();
        self.used += size;
        assert!(self.used <= self.chunk.len());
        self.blocks += 1;
        self.heap.allocated(block, size);
        block
    }

    fn give_back(&mut self, block: *mut u8, size: usize) {
        self.heap.freed(block, size);
        self.blocks -= 1;
        if self.blocks == 0 {
            self.used = 0;
        }
    }
}

/// Records everything that `work` does.
fn record(sample: Sample, work: impl FnOnce()) -> (Profile, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.memprof");
    let has_ended = AtomicBool::new(false);
    let read = || {
        while !has_ended.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        profile::read(&path).unwrap()
    };
    // By another thread: while a third one is held up in the hook, this one's record is still in
    // the file, and what it allocates to read it would be in there.
    let (profile, defects) = std::thread::scope(|scope| {
        let reader = scope.spawn(read);
        let recording = Recording::builder().path(&path).sample(sample);
        let recording = recording.start().unwrap();
        work();
        drop(recording);
        has_ended.store(true, Ordering::SeqCst);
        reader.join().unwrap()
    });
    assert_eq!(defects, []);
    (profile, folder)
}

fn of(profile: &Profile, name: &str) -> Profile {
    let mut profile = profile.clone();
    profile
        .select_heap(&HeapChoice::Named(name.to_owned()))
        .unwrap();
    profile
}

fn heap<'a>(profile: &'a Profile, name: &str) -> &'a Heap {
    let mut heaps = profile.heaps.iter();
    heaps.find(|heap| heap.name == name).unwrap()
}

fn sum(profile: &Profile) -> Totals {
    let mut sum = profile.unattributed;
    (profile.stacks.iter()).for_each(|stack| sum.add(&stack.totals));
    sum
}

/// Bytes of the main heap that the calling thread has allocated, exactly: the harness has threads
/// of its own, which allocate meanwhile.
fn own_bytes(profile: &Profile) -> u64 {
    let thread = std::thread::current();
    let name = thread.name().unwrap().get(..15).unwrap();
    let of_it = profile.threads.iter().filter(|thread| thread.name == name);
    of_it.map(|thread| thread.own_alloc_bytes).sum()
}

fn memprof(folder: &TempDir, arguments: &[&str]) -> String {
    let output = Command::new(built::MEMPROF)
        .args(arguments)
        .arg(folder.path().join("x.memprof"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", built::text(&output.stderr));
    built::text(&output.stdout)
}

#[inline(never)]
fn take_ten(arena: &mut Arena) -> Vec<*mut u8> {
    let mut blocks = Vec::with_capacity(10);
    for size in 1..=10 {
        blocks.push(arena.take(100 * size)); // ten blocks, 5,500 bytes
    }
    blocks
}

/// 5,500 bytes in ten blocks are taken twice, the first ten are given back: what lines, stacks and
/// totals say is that, and the main heap knows nothing of it.
#[test]
fn a_heap_is_told_to_the_byte_and_apart() {
    static HEAP: OwnHeap = OwnHeap::named("exact arena");
    let _one = one();
    let (profile, folder) = record(Sample::All, || {
        let mut arena = Arena::new(&HEAP);
        let first = take_ten(&mut arena);
        let second = take_ten(&mut arena);
        assert_eq!(HEAP.in_use(), 11_000);
        for (block, size) in first.into_iter().zip(1..) {
            arena.give_back(block, 100 * size);
        }
        black_box(second);
        assert_eq!(HEAP.in_use(), 5_500);
    });
    // The chunk and the two lists.
    let main = sum(&profile);
    assert_eq!(main.alloc_bytes, profile.counters().alloc_bytes as i64);
    assert_eq!(own_bytes(&profile), (1 << 20) + 2 * 80);

    let found = heap(&profile, "exact arena");
    let counters = found.counters;
    assert_eq!(
        (counters.alloc_bytes, counters.freed_bytes),
        (11_000, 5_500)
    );
    assert_eq!((counters.allocs, counters.frees), (20, 10));
    assert_eq!((found.in_use(), found.peak, found.base), (5_500, 11_000, 0));
    assert_eq!((found.lost_frees, found.lost_mappings), (0, 0));

    let arena = of(&profile, "exact arena");
    let totals = sum(&arena);
    assert_eq!((totals.alloc_bytes, totals.freed_bytes), (11_000, 5_500));
    assert_eq!((totals.live_bytes, totals.peak_bytes), (5_500, 11_000));
    assert_eq!(totals.alloc_count.rounded(), 20);
    assert_eq!((arena.heap(), arena.peak()), (5_500, 11_000));

    let report = memprof(
        &folder,
        &["report", "--heap", "exact arena", "--format", "csv"],
    );
    let row = report
        .lines()
        .find(|row| row.contains("ten blocks, 5,500 bytes"));
    assert!(row.is_some_and(|row| row.contains(",11000,")), "{report}");
    let report = memprof(&folder, &["report", "--format", "csv"]);
    let row = report
        .lines()
        .find(|row| row.contains("ten blocks, 5,500 bytes"));
    assert!(row.is_none_or(|row| !row.contains(",11000,")), "{report}");
}

/// In each view, one heap can be chosen; where stacks have roots, all have one of their own.
#[test]
fn every_view_tells_heaps_apart() {
    static ARENA: OwnHeap = OwnHeap::named("views arena");
    static POOL: OwnHeap = OwnHeap::named("views pool");
    let _one = one();
    let (_, folder) = record(Sample::All, || {
        let mut arena = Arena::new(&ARENA);
        black_box(take_ten(&mut arena));
        POOL.allocated(black_box(&raw const folder_sized), 1 << 21);
    });
    let text = memprof(&folder, &["summary"]);
    for row in ["malloc", "views arena", "views pool"] {
        assert!(
            text.lines().any(|line| line.ends_with(row)),
            "{row}: {text}"
        );
    }
    assert!(
        text.contains(
            "not among these figures is what other heaps hold: views pool 2.0 MiB at its peak"
        ),
        "{text}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&memprof(&folder, &["summary", "--format", "json"])).unwrap();
    let rows = json["heaps"].as_array().unwrap();
    let names: Vec<_> = rows
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(names[..2], ["malloc", "views pool"]);
    let arena = rows
        .iter()
        .find(|row| row["name"] == "views arena")
        .unwrap();
    assert_eq!(
        (&arena["in_use"], &arena["allocs"]),
        (&5_500.into(), &10.into())
    );

    let tree = memprof(
        &folder,
        &["tree", "--heap", "all", "--of", "allocated", "--min", "0"],
    );
    for root in ["heap=malloc", "heap=views arena", "heap=views pool"] {
        assert!(tree.contains(root), "{root}: {tree}");
    }
    assert_eq!(
        tree,
        memprof(
            &folder,
            &["tree", "--by", "heap", "--of", "allocated", "--min", "0"]
        )
    );
    let folded = memprof(
        &folder,
        &[
            "export",
            "--format",
            "folded",
            "--heap",
            "all",
            "--of",
            "allocated",
        ],
    );
    let bytes = |root: &str| -> i64 {
        let lines = folded.lines().filter(|line| line.starts_with(root));
        lines
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<i64>().unwrap())
            .sum()
    };
    assert_eq!(bytes("heap=views arena"), 5_500);
    assert_eq!(bytes("heap=views pool"), 1 << 21);
    let svg = memprof(
        &folder,
        &["flamegraph", "--heap", "all", "--of", "allocated"],
    );
    assert!(svg.contains("heap=views pool"));
    let report = memprof(&folder, &["report", "--heap", "all"]);
    assert!(report.contains("heap=views pool"), "{report}");
    let leaks = memprof(&folder, &["leaks", "--heap", "views pool"]);
    assert!(leaks.contains("2.0 MiB"), "{leaks}");
    let live = memprof(
        &folder,
        &[
            "live",
            "--once",
            "--interval",
            "1ms",
            "--heap",
            "views pool",
        ],
    );
    assert!(live.contains("2.0 MiB"), "{live}");
    let page = memprof(
        &folder,
        &["report", "--heap", "views arena", "--format", "html"],
    );
    assert!(page.contains("everything shown is of the heap views arena alone"));

    let refused = Command::new(built::MEMPROF)
        .args(["leaks", "--heap", "all"])
        .arg(folder.path().join("x.memprof"))
        .output()
        .unwrap();
    assert!(built::text(&refused.stderr).contains("this view shows one heap"));
    let unknown = Command::new(built::MEMPROF)
        .args(["summary", "--heap", "nothing"])
        .arg(folder.path().join("x.memprof"))
        .output()
        .unwrap();
    assert!(
        built::text(&unknown.stderr).contains("the profile has no heap nothing; it has malloc")
    );
}

#[allow(non_upper_case_globals, reason = "stands for memory that is no vector")]
static folder_sized: [u8; 1] = [0];

/// A block of one heap begins where a block of another does, of which it is a part.
#[test]
fn blocks_of_two_heaps_may_have_one_address() {
    static OUTER: OwnHeap = OwnHeap::named("outer");
    static INNER: OwnHeap = OwnHeap::named("inner");
    let _one = one();
    let (profile, _folder) = record(Sample::All, || {
        let chunk = black_box(vec![0u8; 4096]);
        OUTER.allocated(chunk.as_ptr(), 4096);
        INNER.allocated(chunk.as_ptr(), 10);
        INNER.freed(chunk.as_ptr(), 10);
        INNER.allocated(chunk.as_ptr(), 20);
        OUTER.freed(chunk.as_ptr(), 4096);
        drop(chunk);
    });
    assert_eq!(own_bytes(&profile), 4096);
    assert_eq!(sum(&of(&profile, "outer")).live_bytes, 0);
    assert_eq!(sum(&of(&profile, "outer")).peak_bytes, 4096);
    assert_eq!(sum(&of(&profile, "inner")).live_bytes, 20);
}

/// Contexts hold in other heaps too, and a heap's own peak decides what is in use at the peak.
#[test]
fn contexts_and_peaks_are_those_of_the_heap() {
    static HEAP: OwnHeap = OwnHeap::named("in contexts");
    let _one = one();
    let (profile, folder) = record(Sample::All, || {
        let mut arena = Arena::new(&HEAP);
        let outside = arena.take(1_000);
        let inside = {
            let _context = profiler_alloc::context("route", "/heaps");
            arena.take(300)
        };
        // The main heap's peak comes when little is left here; it is higher than that of other
        // tests of this process.
        arena.give_back(outside, 1_000);
        drop(black_box(vec![0u8; 256 << 20]));
        arena.give_back(inside, 300);
    });
    let arena = of(&profile, "in contexts");
    assert_eq!(sum(&arena).peak_bytes, 1_300);
    let of_route: i64 = (arena.stacks_by("route").into_iter())
        .filter(|(context, _)| context.is_some())
        .flat_map(|(_, stacks)| stacks)
        .map(|stack| stack.totals.alloc_bytes)
        .sum();
    assert_eq!(of_route, 300);
    let tree = memprof(
        &folder,
        &[
            "tree",
            "--heap",
            "in contexts",
            "--by",
            "route",
            "--of",
            "allocated",
        ],
    );
    assert!(tree.contains("route=/heaps"), "{tree}");
}

/// What is said wrongly is a wrong figure of that heap, and nothing else.
#[test]
fn misuse_is_silent_and_counted() {
    static HEAP: OwnHeap = OwnHeap::named("misused");
    let _one = one();
    let byte = black_box(Box::new(7u8));
    let (profile, folder) = record(Sample::All, || {
        HEAP.freed(&raw const *byte, 100); // never allocated
        HEAP.allocated(std::ptr::null::<u8>(), 100);
        HEAP.allocated(&raw const *byte, 50);
        HEAP.allocated(&raw const *byte, 60); // twice, at one place
        HEAP.reallocated(
            &raw const *byte,
            50,
            std::ptr::without_provenance::<u8>(usize::MAX),
            70,
        );
        HEAP.freed(std::ptr::without_provenance::<u8>(usize::MAX), 70);
        HEAP.freed(&raw const *byte, 60);
        HEAP.freed(&raw const *byte, 60);
        HEAP.allocated(&raw const *byte, usize::MAX);
        HEAP.freed(&raw const *byte, usize::MAX);
        HEAP.allocated(&raw const *byte, 0);
        HEAP.freed(&raw const *byte, 0);
    });
    let found = heap(&profile, "misused");
    assert_eq!(found.lost_frees, 2);
    assert_eq!((found.in_use(), HEAP.in_use()), (0, 0));
    assert_eq!(own_bytes(&profile), 0, "nothing is the main heap's");
    let text = memprof(&folder, &["summary"]);
    assert!(
        text.contains("2 frees in the heap misused were not counted"),
        "{text}"
    );
}

/// What was in use before is said as such; what is freed of it, where it is freed.
#[test]
fn what_was_there_before_the_recording_is_told_apart() {
    static HEAP: OwnHeap = OwnHeap::named("before");
    let _one = one();
    let mut arena = Arena::new(&HEAP);
    let before = arena.take(5_000);
    assert_eq!(HEAP.in_use(), 5_000, "counted though nothing is recorded");
    let (profile, _folder) = record(Sample::All, || {
        let now = arena.take(700);
        arena.give_back(before, 5_000);
        black_box(now);
    });
    let found = heap(&profile, "before");
    assert_eq!(
        (found.base, found.in_use(), found.peak),
        (5_000, 700, 5_700)
    );
    let totals = sum(&of(&profile, "before"));
    assert_eq!((totals.alloc_bytes, totals.freed_bytes), (700, 5_000));
    assert_eq!(totals.live_bytes, 700);
}

/// A realloc is the free of the old block and the allocation of the new one, both here.
#[test]
fn a_realloc_frees_and_allocates() {
    static HEAP: OwnHeap = OwnHeap::named("reallocated");
    let _one = one();
    let bytes = black_box([0u8; 2]);
    let (profile, _folder) = record(Sample::All, || {
        HEAP.allocated(&raw const bytes[0], 100);
        HEAP.reallocated(&raw const bytes[0], 100, &raw const bytes[0], 400);
        HEAP.reallocated(&raw const bytes[0], 400, &raw const bytes[1], 50);
    });
    let totals = sum(&of(&profile, "reallocated"));
    assert_eq!((totals.alloc_bytes, totals.freed_bytes), (550, 500));
    assert_eq!((totals.live_bytes, totals.realloc_bytes), (50, 450));
    assert_eq!(heap(&profile, "reallocated").counters.reallocs, 2);
}

/// 40,000 blocks of 200 bytes at one sample in 2 KiB: some 3,900 samples, so the standard error of
/// the sum is 1.5 %; five of these are exceeded once in two million times.
#[test]
fn sampled_figures_are_within_their_error() {
    static HEAP: OwnHeap = OwnHeap::named("sampled");
    const BLOCKS: usize = 40_000;
    let _one = one();
    let bytes = black_box(vec![0u8; BLOCKS]);
    let (profile, _folder) = record(Sample::Every(2048), || {
        for byte in &bytes {
            HEAP.allocated(byte, 200);
        }
        for byte in &bytes[..BLOCKS / 2] {
            HEAP.freed(byte, 200);
        }
    });
    let truth = (200 * BLOCKS) as f64;
    let found = heap(&profile, "sampled");
    assert_eq!(found.counters.alloc_bytes as f64, truth);
    assert_eq!(found.in_use() as f64, truth / 2.0);
    let totals = sum(&of(&profile, "sampled"));
    let stated = totals.alloc_variance.sqrt();
    assert!(
        (0.01..0.02).contains(&(stated / truth)),
        "{}",
        stated / truth
    );
    let off = (totals.alloc_bytes as f64 - truth).abs();
    assert!(off <= 5.0 * stated, "{off} of {truth}, stated {stated}");
    let off = (totals.live_bytes as f64 - truth / 2.0).abs();
    let stated = totals.live_variance.sqrt();
    assert!(off <= 5.0 * stated, "live: {off}, stated {stated}");
    assert_eq!(totals.live_bytes + totals.freed_bytes, totals.alloc_bytes);
    assert_eq!(own_bytes(&profile), 0);
}

/// Four threads take and give back, each in its own part; one frees what another has taken.
#[test]
fn threads_share_a_heap() {
    static HEAP: OwnHeap = OwnHeap::named("shared");
    let _one = one();
    let bytes = black_box(vec![0u8; 4_000]);
    let (profile, _folder) = record(Sample::All, || {
        std::thread::scope(|scope| {
            for part in bytes.chunks(1_000) {
                scope.spawn(move || {
                    for byte in part {
                        HEAP.allocated(byte, 8);
                    }
                    for byte in &part[500..] {
                        HEAP.freed(byte, 8);
                    }
                });
            }
        });
        for part in bytes.chunks(1_000) {
            for byte in &part[..250] {
                HEAP.freed(byte, 8);
            }
        }
    });
    let totals = sum(&of(&profile, "shared"));
    assert_eq!((totals.alloc_bytes, totals.live_bytes), (32_000, 8_000));
    let found = heap(&profile, "shared");
    assert_eq!((found.in_use(), found.lost_frees), (8_000, 0));
    assert!((16_000..=32_000).contains(&found.peak), "{}", found.peak);
}

/// A profile that a killed program leaves has the heap, too: the file is read while it is recorded.
#[test]
fn the_file_is_current_at_every_moment() {
    static HEAP: OwnHeap = OwnHeap::named("current");
    let _one = one();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.memprof");
    let recording = Recording::builder().path(&path).sample(Sample::All);
    let recording = recording.start().unwrap();
    let byte = black_box(Box::new(0u8));
    HEAP.allocated(&raw const *byte, 123);
    let now = |path: &Path| profile::read(path).unwrap().0;
    let profile = now(&path);
    assert_eq!(heap(&profile, "current").in_use(), 123);
    assert_eq!(sum(&of(&profile, "current")).live_bytes, 123);
    HEAP.freed(&raw const *byte, 123);
    assert_eq!(sum(&of(&now(&path), "current")).live_bytes, 0);
    drop(recording);
}
