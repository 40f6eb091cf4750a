//! The exact counts equal those of `stats_alloc`, to the byte, whatever is being recorded.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;

use profiler_alloc::{ProfilerAlloc, Recording, Region, Sample};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOC: ProfilerAlloc<&StatsAlloc<System>> = ProfilerAlloc::new(&INSTRUMENTED_SYSTEM);

#[test]
fn equal_stats_allocs_on_a_random_workload() {
    assert!(profiler_alloc::is_installed());
    agree("nothing recorded");

    let folder = tempfile::tempdir().unwrap();
    for sample in [Sample::All, Sample::Auto, Sample::Every(4096)] {
        let path = folder.path().join("x.memprof");
        let recording = Recording::builder()
            .path(path)
            .sample(sample)
            .start()
            .unwrap();
        agree("recording");
        recording.pause();
        agree("paused");
        recording.resume();
        agree("resumed");
        recording.flush().unwrap();
        drop(recording);
        agree("ended");
    }
}

#[test]
fn regions_count_what_lies_between() {
    let mut region = Region::new(&ALLOC);
    let initial = region.initial();
    let block = black_box(vec![0u8; 100_000]);
    assert!(region.change().bytes_allocated >= 100_000);
    drop(block);
    let change = region.change_and_reset();
    assert!(change.bytes_deallocated >= 100_000 && change.allocations >= 1);
    assert_ne!(region.initial(), initial);
}

/// Blocks in use, on their way from one thread to another.
struct Blocks(Vec<(*mut u8, Layout)>);

// SAFETY: a block belongs to whoever holds it; nobody keeps a pointer to what was given away.
unsafe impl Send for Blocks {}

fn agree(when: &str) {
    let mut held: Vec<Blocks> = (0..4).map(|_| Blocks(Vec::new())).collect();
    for seed in 0..3 {
        let workers = held.drain(..).zip(seed * 4..);
        let workers: Vec<_> = workers
            .map(|(blocks, seed)| std::thread::spawn(move || random_workload(seed, blocks)))
            .collect();
        let left = workers.into_iter().map(|worker| worker.join().unwrap());
        held.extend(left);
        // What one thread took, another grows and frees.
        held.rotate_left(1);
    }
    for (block, layout) in held.into_iter().flat_map(|blocks| blocks.0) {
        // SAFETY: every block is given back once, with the layout it has.
        unsafe { ALLOC.dealloc(block, layout) };
    }
    // Another test of this process may allocate between the two readings: repeat until they were
    // taken in a lull.
    for _ in 0..1_000 {
        let before = INSTRUMENTED_SYSTEM.stats();
        let ours = profiler_alloc::stats();
        if INSTRUMENTED_SYSTEM.stats() == before {
            assert_eq!(ours, before, "{when}");
            let heap = before.bytes_allocated - before.bytes_deallocated;
            assert!(profiler_alloc::peak_heap() >= heap, "{when}");
            return;
        }
        std::thread::yield_now();
    }
    panic!("no lull");
}

/// All four methods, on blocks of all sizes and alignments, in a random order; gives the blocks
/// that are left.
fn random_workload(seed: u64, blocks: Blocks) -> Blocks {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut blocks = blocks.0;
    for _ in 0..20_000 {
        let largest = if random(50) == 0 { 1 << 18 } else { 600 };
        let size = 1 + random(largest);
        let layout = Layout::from_size_align(size, 1 << random(8)).unwrap();
        // SAFETY: sizes are not 0; every block is given back once, with the layout it has then.
        unsafe {
            match random(5) {
                0 => blocks.push((ALLOC.alloc(layout), layout)),
                1 => blocks.push((ALLOC.alloc_zeroed(layout), layout)),
                2 | 3 if !blocks.is_empty() => {
                    let at = random(blocks.len());
                    let (block, layout) = blocks.swap_remove(at);
                    ALLOC.dealloc(block, layout);
                }
                _ if !blocks.is_empty() => {
                    let at = random(blocks.len());
                    let (block, layout) = blocks[at];
                    let block = ALLOC.realloc(block, layout, size);
                    blocks[at] = (
                        block,
                        Layout::from_size_align(size, layout.align()).unwrap(),
                    );
                }
                _ => {}
            }
        }
    }
    Blocks(blocks)
}
