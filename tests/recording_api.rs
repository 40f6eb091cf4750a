//! Recordings from code: start, pause, resume, flush, end, start again; and what is refused.

use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use memprof::profile::{self, State};
use profiler_alloc::{ProfilerAlloc, Recording, Sample, StartError};
use profiler_alloc_format::CHUNK_LEN;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

fn allocated(path: &std::path::Path, size: i64) -> i64 {
    let (profile, defects) = profile::read(path).unwrap();
    assert_eq!(defects, []);
    let bytes = profile.stacks.iter().map(|stack| stack.totals.alloc_bytes);
    bytes.filter(|&bytes| bytes >= size).sum()
}

/// Freed by stacks that freed `size` bytes or more.
fn freed(path: &std::path::Path, size: i64) -> i64 {
    let (profile, _) = profile::read(path).unwrap();
    let bytes = profile.stacks.iter().map(|stack| stack.totals.freed_bytes);
    bytes.filter(|&bytes| bytes >= size).sum()
}

/// How many files this process has open, other than by looking.
fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A process has one recording at a time.
static ONE: Mutex<()> = Mutex::new(());

#[test]
fn the_life_of_a_recording() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    const SIZE: usize = 3 << 20;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("%e.memprof");
    let before = black_box(vec![1u8; SIZE]);
    let recording = Recording::builder()
        .path(&path)
        .sample(Sample::All)
        .start()
        .unwrap();
    let file = recording.path().to_owned();
    let exe = std::env::current_exe().unwrap();
    let name = exe.file_name().unwrap().to_str().unwrap();
    assert_eq!(file, folder.path().join(format!("{name}.memprof")));

    let again = Recording::builder()
        .path(folder.path().join("other"))
        .start();
    assert!(matches!(again, Err(StartError::AlreadyRecording)));
    assert!(
        !folder.path().join("other").exists(),
        "nothing is written when refused"
    );

    let first = black_box(vec![1u8; SIZE]);
    assert_eq!(allocated(&file, 1 << 20), SIZE as i64);
    recording.pause();
    let unseen = black_box(vec![1u8; SIZE]);
    assert_eq!(allocated(&file, 1 << 20), SIZE as i64, "paused");
    assert_eq!(profile::read(&file).unwrap().0.state(), State::Paused);
    recording.resume();
    drop(black_box(vec![1u8; SIZE]));
    assert_eq!(allocated(&file, 1 << 20), 2 * SIZE as i64, "resumed");
    recording.flush().unwrap();
    assert_eq!(freed(&file, 1 << 20), SIZE as i64);
    // Its freeing is on a line like any other, although nobody saw it taken.
    drop(unseen);
    assert_eq!(freed(&file, 1 << 20), 2 * SIZE as i64, "taken while paused");
    let mut before = before;
    before.reserve_exact(SIZE);
    assert_eq!(freed(&file, 1 << 20), 3 * SIZE as i64, "taken before");
    drop(first);
    drop(before);
    assert_eq!(freed(&file, 1 << 20), 6 * SIZE as i64, "all of it");
    drop(recording);

    let (profile, _) = profile::read(&file).unwrap();
    assert_eq!(profile.state(), State::Finished);
    let counters = profile.counters();
    drop(black_box(vec![1u8; SIZE]));
    assert_eq!(
        profile::read(&file).unwrap().0.counters(),
        counters,
        "what comes later is not in it"
    );
    assert!(
        counters.alloc_bytes >= 3 * SIZE as u64,
        "what was paused is counted"
    );
    assert!(profile.header.heap_base as usize >= SIZE);
    let live: i64 = profile
        .stacks
        .iter()
        .map(|stack| stack.totals.live_bytes)
        .sum();
    assert!(live < 1 << 20, "freed blocks are not live: {live}");

    // The name is taken now: the second profile goes beside the first.
    let second = Recording::builder().path(&path).start().unwrap();
    assert_ne!(second.path(), file);
    assert!(second.path().exists());
    drop(second);

    let open = open_files();
    for _ in 0..20 {
        let next = Recording::builder().path(&path).start().unwrap();
        drop(black_box(vec![1u8; SIZE]));
        drop(next);
    }
    assert_eq!(open_files(), open, "what is over holds no file open");

    let nowhere = Recording::builder()
        .path(folder.path().join("no/such/folder/x"))
        .start();
    let error = nowhere.unwrap_err().to_string();
    assert!(
        error.contains("no/such/folder/x") && error.contains("choose another path"),
        "{error}"
    );
}

/// Calls itself `depth` times before it takes a block.
fn deep(depth: usize) -> Vec<u8> {
    match depth {
        0 => black_box(vec![1u8; 7 << 20]),
        _ => black_box(deep(depth - 1)),
    }
}

#[test]
fn the_file_states_the_settings_that_were_kept() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let recording = Recording::builder()
        .path(folder.path().join("settings"))
        .sample(Sample::Every(0))
        .overhead(500.0)
        .stack_depth(5)
        .timeline(Duration::ZERO)
        .start()
        .unwrap();
    drop(deep(100));
    let file = recording.path().to_owned();
    drop(recording);
    let (profile, _) = profile::read(&file).unwrap();
    let header = &profile.header;
    assert_eq!((header.interval, header.budget_ppm), (1, 1_000_000));
    assert!(header.timeline_interval_ns >= 1_000_000);
    // Each point says how much of the resident set may be the recorder's, its file included.
    let last = profile.timeline.last().expect("a point");
    let file_bytes = header.chunk_count * CHUNK_LEN as u64;
    assert!(last.own() >= header.own_bytes + file_bytes, "{last:?}");
    assert!(last.own() < header.own_bytes + file_bytes + (1 << 20));
    assert!((1 << 20..1 << 30).contains(&last.resident()), "{last:?}");
    assert_eq!(header.stack_depth, 16);
    let deepest = (profile.stacks.iter()).find(|stack| stack.totals.alloc_bytes >= 7 << 20);
    let mut node = deepest.unwrap().node;
    let mut frames = 0;
    while node != 0 {
        let known = profile.nodes[node as usize];
        frames += u32::from(
            known
                .frame
                .is_some_and(|frame| frame != profile::Frame::ELIDED),
        );
        node = known.parent;
    }
    assert_eq!(frames, header.stack_depth);
}

/// One block after another from one line, with time in between.
fn take_slowly(count: usize) -> Vec<Vec<u8>> {
    let take = |_| {
        std::thread::sleep(Duration::from_millis(20));
        black_box(vec![1u8; 5 << 20])
    };
    (0..count).map(take).collect()
}

#[test]
fn the_file_says_when_blocks_were_taken() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let recording = Recording::builder()
        .path(folder.path().join("times"))
        .sample(Sample::All)
        .start()
        .unwrap();
    std::thread::sleep(Duration::from_millis(20));
    let blocks = take_slowly(4);
    let file = recording.path().to_owned();
    drop(recording);
    drop(blocks);
    let (profile, defects) = profile::read(&file).unwrap();
    assert_eq!(defects, []);
    let mut large = (profile.stacks.iter()).filter(|stack| stack.totals.alloc_bytes >= 20 << 20);
    let taken = large.next().unwrap().course.taken.expect("times");
    // A tick is 10 ms at most.
    let ms = |ns: u64| ns / 1_000_000;
    assert!(ms(taken.first_ns) >= 30, "{taken:?}");
    assert!(ms(taken.last_ns - taken.first_ns) >= 50, "{taken:?}");
    assert!(taken.last_ns <= profile.duration_ns(), "{taken:?}");
    // The peak is the last block, by a clock that knows no ticks.
    assert!(
        ms(profile.header.peak_ns) >= 80,
        "{}",
        profile.header.peak_ns
    );
    assert!(profile.header.peak_ns <= profile.duration_ns());
}
