//! What holds of the recorder's lock-free parts in every order of threads.

use std::sync::Arc;

use profiler_alloc_models::ffi::memory::zeroed;
use profiler_alloc_models::lockfree::active::{Active, force_slow_path};
use profiler_alloc_models::lockfree::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use profiler_alloc_models::lockfree::atomic::{AtomicBool, AtomicU64};
use profiler_alloc_models::lockfree::cell_index::CellIndex;
use profiler_alloc_models::lockfree::index::Index;
use profiler_alloc_models::lockfree::lazy_slice::LazySlice;
use profiler_alloc_models::lockfree::slot_pool::{SlotPool, claim};
use profiler_alloc_models::moments::split;
use profiler_alloc_models::orders::{every, thread};
use profiler_alloc_models::profile_file::store::Store;
use profiler_alloc_models::sampling::at_peak::change_live;
use profiler_alloc_models::sampling::block::Block;
use profiler_alloc_models::sampling::filter::Filter;
use profiler_alloc_models::sampling::generations::{change_older, pass};
use profiler_alloc_models::sampling::live_blocks::{LiveBlocks, Thinned};
use profiler_alloc_models::sampling::sampled_blocks::SampledBlocks;
use profiler_alloc_models::sampling::weights::Weight;
use profiler_alloc_models::stacks::trie::Trie;
use profiler_alloc_models::{AgeCells, Frame, StackCells, ThreadCells};

/// Runs both at once, and goes on when both are done.
fn together(one: impl FnOnce() + Send + 'static, other: impl FnOnce() + Send + 'static) {
    let one = thread::spawn(one);
    other();
    one.join().unwrap();
}

/// A flag that hands over what was done before it was set.
fn flag() -> Arc<AtomicBool> {
    let flag = AtomicBool::new(false);
    flag.load(Relaxed);
    Arc::new(flag)
}

fn number(value: u64) -> Arc<AtomicU64> {
    let number = AtomicU64::new(value);
    number.load(Relaxed);
    Arc::new(number)
}

#[test]
fn a_slice_is_opened_once() {
    every(3, || {
        let slice = Arc::new(LazySlice::<AtomicU64>::new(1));
        assert!(slice.get().is_none());
        let add = |slice: &LazySlice<AtomicU64>| {
            slice.open().unwrap()[0].fetch_add(1, Relaxed);
        };
        let other = slice.clone();
        together(move || add(&other), move || add(&slice));
    });
}

#[test]
fn an_entry_of_the_index_is_whole_when_it_is_found() {
    every(3, || {
        let index = Arc::new(Index::new(2));
        // The level is there: that it is found says nothing yet.
        assert!(index.bytes() == 0 && index.insert(1, 1));
        let text = number(0);
        let (writer, written) = (index.clone(), text.clone());
        together(
            move || {
                written.store(7, Relaxed);
                assert!(writer.insert(9, 5));
                assert_eq!(writer.find(9, |_| true), Some(5));
            },
            move || {
                if let Some(value) = index.find(9, |_| true) {
                    assert_eq!((value, text.load(Relaxed)), (5, 7));
                }
            },
        );
    });
}

#[test]
fn no_entry_is_lost_while_the_index_grows() {
    every(3, || {
        let index = Arc::new(Index::new(0));
        assert_eq!((index.bytes(), index.find(1, |_| true)), (0, None));
        let put = |index: &Index, key: u64| {
            assert!(index.insert(key, 10 + key));
            assert_eq!(index.find(key, |_| true), Some(10 + key));
        };
        let (one, other) = (index.clone(), index.clone());
        together(move || put(&one, 1), move || put(&other, 2));
        for key in [1, 2] {
            assert_eq!(index.find(key, |_| true), Some(10 + key));
        }
    });
}

fn block(address: usize, size: u64) -> Block {
    Block::new(address, size, size as u32, 1, 2).unwrap()
}

/// A table with one bucket, of which every place but `free` is taken.
fn crowded(free: usize) -> Arc<LiveBlocks> {
    let live = LiveBlocks::new(1);
    assert_eq!(live.bytes(), 0);
    for at in free..8 {
        assert!(live.insert(block(4096 + at, 0), 0));
    }
    Arc::new(live)
}

#[test]
fn blocks_in_one_bucket_are_not_confused() {
    every(2, || {
        let live = crowded(1);
        let come_and_go = |live: &LiveBlocks, address: usize, size: u64| {
            // One place: who comes second goes without.
            if live.insert(block(address, size), 0) {
                assert_eq!(live.remove(address), Some(block(address, size)));
            }
            assert_eq!(live.remove(address), None);
        };
        let other = live.clone();
        together(
            move || {
                [1, 2]
                    .into_iter()
                    .for_each(|size| come_and_go(&live, 16, size))
            },
            move || come_and_go(&other, 32, 1),
        );
    });
}

/// Bytes that a block stands for in the models: its size, times its interval.
fn stands_for(block: Block) -> u64 {
    block.size() * block.interval().unwrap()
}

#[test]
fn a_block_that_is_freed_while_others_are_thinned_is_counted_once() {
    for thinned in [Thinned::Dropped, Thinned::At(4)] {
        every(2, move || {
            let live = crowded(2);
            let (kept, freed) = (block(16, 3), block(32, 5));
            assert!(live.insert(kept, 0) && live.insert(freed, 0));
            // What is live, as the totals of the stacks have it.
            let bytes = number(stands_for(kept) + stands_for(freed));
            let (owner, owned) = (live.clone(), bytes.clone());
            together(
                move || {
                    if let Some(block) = owner.remove(32) {
                        owned.fetch_sub(stands_for(block), Relaxed);
                    }
                    // The same place, perhaps, and the same word: another block. There is no room
                    // while the other has the place.
                    if owner.insert(freed, 0) {
                        owned.fetch_add(stands_for(freed), Relaxed);
                    }
                },
                {
                    let (live, bytes) = (live.clone(), bytes.clone());
                    move || {
                        let decide = |block: Block| match block.size() {
                            5 => thinned,
                            _ => Thinned::Kept,
                        };
                        live.thin(decide, |before, after| {
                            bytes.fetch_add(after.map_or(0, stands_for), Relaxed);
                            bytes.fetch_sub(stands_for(before), Relaxed);
                        });
                    }
                },
            );
            let left = [16, 32].map(|address| live.remove(address).map_or(0, stands_for));
            assert_eq!(bytes.load(Relaxed), left.iter().sum());
            assert_eq!(left[0], stands_for(kept));
        });
    }
}

#[test]
fn a_block_is_found_by_whoever_it_was_handed_to() {
    every(2, || {
        let (live, handed) = (crowded(1), flag());
        let (giver, given) = (live.clone(), handed.clone());
        together(
            move || {
                // Both do not fit into the first level.
                assert!(giver.insert(block(16, 1), 1));
                assert!(giver.insert(block(32, 2), 1));
                given.store(true, Release);
                assert!(giver.insert(block(48, 3), 1));
            },
            move || {
                if handed.load(Acquire) {
                    assert_eq!(live.remove(16), Some(block(16, 1)));
                    assert_eq!(live.remove(32), Some(block(32, 2)));
                    // The address is this thread's now.
                    assert!(live.insert(block(16, 4), 1));
                    assert_eq!(live.remove(16), Some(block(16, 4)));
                }
            },
        );
    });
}

#[test]
fn a_block_that_is_not_among_its_neighbours_is_found_too() {
    every(2, || {
        let live = Arc::new(LiveBlocks::new(2));
        // The bucket of the first 256 bytes is full, the other one empty.
        for at in 0..8 {
            assert!(live.insert(block(16 + at, 0), 0));
        }
        let (handed, giver) = (flag(), live.clone());
        let given = handed.clone();
        together(
            move || {
                assert!(giver.insert(block(32, 1), 0));
                given.store(true, Release);
                assert!(giver.insert(block(48, 2), 0));
            },
            move || {
                if handed.load(Acquire) {
                    assert_eq!(live.remove(32), Some(block(32, 1)));
                }
            },
        );
    });
}

#[test]
fn the_filter_never_denies_a_block_it_holds() {
    every(3, || {
        let filter = Arc::new(Filter::<1>::new().unwrap());
        filter.add(16);
        let come_and_go = |filter: &Filter<1>, address| {
            filter.add(address);
            assert!(!filter.lacks(address) && !filter.lacks(16));
            filter.remove(address);
            assert!(!filter.lacks(16));
        };
        let (one, other) = (filter.clone(), filter.clone());
        together(
            move || come_and_go(&one, 32),
            move || come_and_go(&other, 48),
        );
        filter.remove(16);
        assert!(filter.lacks(16));
    });
}

#[test]
fn a_sampled_block_is_known_to_whoever_it_was_handed_to() {
    every(2, || {
        let sampled = Arc::new(SampledBlocks::<1>::new(Filter::new().unwrap(), 1));
        assert_eq!(sampled.bytes(), 0);
        let handed = flag();
        let (giver, given) = (sampled.clone(), handed.clone());
        together(
            move || {
                assert!(giver.track(block(16, 1), 0));
                given.store(true, Release);
                assert!(giver.track(block(32, 2), 0));
                assert_eq!(giver.untrack(32), Some(block(32, 2)));
            },
            move || {
                if handed.load(Acquire) {
                    assert_eq!(sampled.untrack(16), Some(block(16, 1)));
                    assert_eq!(sampled.untrack(16), None);
                }
            },
        );
    });
}

/// A pool of counter records, as the recorder has them.
struct Pool {
    records: &'static [ThreadCells],
    count: AtomicU64,
    free: SlotPool,
}

impl Pool {
    /// One record that was given back, and room for two more.
    fn new() -> Arc<Pool> {
        let pool = Pool {
            records: zeroed(4).unwrap(),
            count: AtomicU64::new(1),
            free: SlotPool::new(),
        };
        let first = pool.join();
        pool.free.give_back(first.1, first.0 as usize);
        Arc::new(pool)
    }

    fn join(&self) -> (u32, &'static ThreadCells) {
        let count = self.count.load(Acquire) as usize;
        let taken = self.free.take(count, |at| self.records.get(at));
        taken.unwrap_or_else(|| {
            let at = self.count.fetch_add(1, AcqRel) as usize;
            claim(&self.records[at]);
            (at as u32, &self.records[at])
        })
    }

    /// What a thread's life comes to.
    fn live(&self) {
        let (number, cells) = self.join();
        let counted = cells.alloc_bytes.load(Relaxed);
        cells.alloc_bytes.store(counted + 1, Relaxed);
        self.free.give_back(cells, number as usize);
    }

    fn sum(&self) -> u64 {
        let counts = self.records.iter().map(|cells| &cells.alloc_bytes);
        counts.map(|count| count.load(Relaxed)).sum()
    }
}

#[test]
fn a_record_has_one_owner_and_no_count_is_lost() {
    every(3, || {
        let pool = Pool::new();
        let (one, other) = (pool.clone(), pool.clone());
        together(
            move || {
                one.live();
                one.live();
            },
            move || other.live(),
        );
        assert_eq!(pool.sum(), 3);
    });
}

#[test]
fn a_record_that_is_being_made_is_not_taken_over() {
    every(2, || {
        let pool = Pool::new();
        let (one, other) = (pool.clone(), pool.clone());
        let one = thread::spawn(move || {
            one.live();
            one.live();
        });
        let other = thread::spawn(move || other.live());
        pool.live();
        one.join().unwrap();
        other.join().unwrap();
        assert_eq!(pool.sum(), 4);
    });
}

#[test]
fn no_block_of_a_recording_is_freed_by_a_thread_that_has_not_heard_of_it() {
    struct Recording(AtomicU64);

    every(3, || {
        let recording: &'static Recording = Box::leak(Box::new(Recording(AtomicU64::new(0))));
        recording.0.load(Relaxed);
        let active: &'static Active<Recording> = Box::leak(Box::new(Active::new()));
        let cells = &zeroed::<ThreadCells>(1).unwrap()[0];
        active.set_thresholds(cells, 64, 64);
        assert!(active.current().is_none() && active.latest().is_none());
        let handed = flag();
        let given = handed.clone();
        // A thread that came to know at once samples a block, and hands it over.
        let sampler = thread::spawn(move || {
            if let Some(recording) = active.current() {
                assert_eq!(recording.0.load(Relaxed), 1);
                given.store(true, Release);
            }
        });
        let receiver = thread::spawn(move || {
            active.set_thresholds(cells, 128, 128);
            if handed.load(Acquire) {
                assert_eq!(cells.free_next.load(Relaxed), 0);
                assert!(active.current().is_some());
            }
        });
        recording.0.store(1, Relaxed);
        active.activate(recording, || force_slow_path(cells));
        sampler.join().unwrap();
        receiver.join().unwrap();
    });
}

fn bytes(bytes: u64) -> Weight {
    Weight {
        bytes,
        count: bytes,
        variance: 0.0,
        count_variance: 0.0,
    }
}

#[test]
fn what_is_kept_of_a_peak_is_of_that_peak() {
    every(4, || {
        let stack: &'static StackCells = &zeroed(1).unwrap()[0];
        change_live(stack, 1, bytes(100), 1);
        let epoch = number(1);
        let later = epoch.clone();
        together(
            move || {
                change_live(stack, epoch.load(Acquire), bytes(10), 1);
                // A new peak; what changes from now on comes after it.
                epoch.fetch_add(1, AcqRel);
                change_live(stack, epoch.load(Acquire), bytes(1), -1);
            },
            move || {
                change_live(stack, later.load(Acquire), bytes(50), -1);
            },
        );
        assert_eq!(stack.live_bytes.load(Relaxed), 59);
        assert_eq!(stack.peak_epoch.load(Relaxed), 2);
        // At the peak: without what came later, but for what was under way in another thread at
        // that very moment.
        let at_peak = stack.peak_bytes.load(Relaxed);
        assert!([110, 60, 109].contains(&at_peak), "{at_peak}");
    });
}

/// A block is allocated in one thread, a snapshot taken, and the block freed, while another thread
/// allocates on the same stack.
#[test]
fn every_byte_that_becomes_older_does_so_once() {
    every(3, || {
        let stack: &'static StackCells = &zeroed(1).unwrap()[0];
        let age: &'static AgeCells = &zeroed(1).unwrap()[0];
        let cohorts: &'static [AtomicU64] = zeroed(4).unwrap();
        let generation = number(1);
        change_live(stack, 1, bytes(100), 1);
        let add = |birth: u32, by: Weight| {
            cohorts[birth as usize].fetch_add(by.bytes, Relaxed);
        };
        let pass_at = move |generation: &AtomicU64| {
            let now = generation.load(Acquire) as u32;
            pass(age, stack, None, now, |part| add(part.birth, part.weight))
        };
        let later = generation.clone();
        together(
            move || {
                let birth = pass_at(&generation);
                change_live(stack, 1, bytes(10), 1);
                generation.fetch_add(1, AcqRel);
                if birth < pass_at(&generation) {
                    let less = bytes(10).to(Weight::NOTHING);
                    add(birth, less);
                    change_older(age, less);
                }
                change_live(stack, 1, bytes(10), -1);
            },
            move || {
                pass_at(&later);
                change_live(stack, 1, bytes(50), 1);
            },
        );
        assert_eq!(stack.live_bytes.load(Relaxed), 150);
        let (newest, older) = split(age.bytes.load(Relaxed));
        let sum: u64 = (0..4).fold(0, |sum, at| {
            sum.wrapping_add(cohorts[at as usize].load(Relaxed))
        });
        assert_eq!((newest, sum as i64), (2, older));
        // What was there before is known to be; of what came at that moment, all or nothing.
        assert_eq!(cohorts[0].load(Relaxed), 100);
        assert!([100, 150].contains(&older), "{older}");
    });
}

#[test]
fn a_cell_that_is_found_has_the_key_it_was_looked_for_by() {
    every(3, || {
        let index = Arc::new(CellIndex::new(2));
        let cells: &'static [AtomicU64] = zeroed(2).unwrap();
        let key_of = |cell: u32| cells[cell as usize].load(Acquire);
        cells[0].store(70, Release);
        assert!(index.insert(70, 0, key_of));
        let other = index.clone();
        together(
            move || {
                // The cell is given another key.
                cells[0].store(80, Release);
                assert!(other.insert(80, 0, key_of));
                assert_eq!(other.find(80, key_of), Some(0));
            },
            move || {
                cells[1].store(90, Release);
                assert!(index.insert(90, 1, key_of));
                assert_eq!(index.find(90, key_of), Some(1));
                if let Some(cell) = index.find(80, key_of) {
                    assert_eq!(key_of(cell), 80);
                }
            },
        );
    });
}

#[test]
fn every_record_is_there_for_the_one_who_took_its_number() {
    every(3, || {
        let store: &'static Store = Box::leak(Box::new(Store::new(2)));
        let taken = number(0);
        let take = |taken: &AtomicU64| {
            for _ in 0..2 {
                if let Some(number) = store.take(&store.stacks, &store.header().stack_count) {
                    let cells = store.stacks.get(number).expect("there");
                    assert_eq!(cells.node.fetch_add(1, Relaxed), 0, "nobody else's");
                    taken.fetch_add(1, Relaxed);
                }
            }
        };
        let (one, other) = (taken.clone(), taken.clone());
        together(move || take(&one), move || take(&other));
        // Of 4 records one is taken: 3 are left for 4 that ask, and nobody goes without while
        // another is growing the table.
        assert_eq!(taken.load(Relaxed), 3);
        assert_eq!(
            store.header().stack_count.load(Relaxed),
            1 + taken.load(Relaxed)
        );
    });
}

#[test]
fn tables_that_grow_at_once_do_not_share_a_chunk() {
    every(3, || {
        let store: &'static Store = Box::leak(Box::new(Store::new(1)));
        let header = store.header();
        // Both tables have one record, which is taken: each thread needs a chunk, and gets it.
        together(
            move || assert_eq!(store.take(&store.stacks, &header.stack_count), Some(1)),
            move || assert_eq!(store.take(&store.nodes, &header.node_count), Some(1)),
        );
        assert!(store.stacks.get(1).is_some() && store.nodes.get(1).is_some());
    });
}

/// The frames from `node` to the root. Every node on the way is whole, and its caller's number is
/// below its own.
fn frames(store: &Store, mut node: u32) -> Vec<u64> {
    let mut frames = Vec::new();
    while node != 0 {
        let cells = store.nodes.get(node as usize).expect("there");
        let frame = cells.frame.load(Acquire);
        assert_ne!(frame, 0);
        frames.push(frame);
        let parent = cells.parent.load(Relaxed);
        assert!(parent < node);
        node = parent;
    }
    frames
}

#[test]
fn two_threads_make_the_nodes_of_one_stack() {
    every(1, || {
        let store: &'static Store = Box::leak(Box::new(Store::new(8)));
        let trie = Arc::new(Trie::new(0));
        assert_eq!(trie.bytes(), 0);
        // Makes the index exist, for loom.
        trie.child(store, 0, Frame::from_bits(4)).unwrap();
        let intern = |trie: &Trie, inner: u64| {
            let outer = trie.child(store, 0, Frame::from_bits(5)).unwrap();
            let node = trie.child(store, outer, Frame::from_bits(inner)).unwrap();
            let stack = trie.stack(store, node, 0).unwrap();
            assert_eq!(frames(store, node), [inner, 5]);
            assert_eq!(trie.stack(store, node, 0), Some(stack));
        };
        let (one, other) = (trie.clone(), trie.clone());
        together(move || intern(&one, 6), move || intern(&other, 7));
        let again = trie.child(store, 0, Frame::from_bits(5)).unwrap();
        assert!(again < store.header().node_count.load(Relaxed) as u32);
    });
}

#[test]
fn two_threads_that_meet_one_stack_give_it_one_number() {
    every(3, || {
        let store: &'static Store = Box::leak(Box::new(Store::new(8)));
        let trie = Arc::new(Trie::new(0));
        assert_eq!(trie.bytes(), 0);
        let node = trie.child(store, 0, Frame::from_bits(5)).unwrap();
        let found = number(0);
        let intern = move |trie: &Trie, found: &AtomicU64| {
            let stack = trie.stack(store, node, 0).unwrap();
            let cells = store.stacks.get(stack as usize).expect("there");
            assert_eq!(cells.node.load(Relaxed), node);
            found.fetch_add(u64::from(stack), Relaxed);
        };
        let (one, first) = (trie.clone(), found.clone());
        let other = found.clone();
        together(move || intern(&one, &first), move || intern(&trie, &other));
        let kept = store.nodes.get(node as usize).unwrap().stack.load(Relaxed);
        assert_eq!(found.load(Relaxed), 2 * u64::from(kept));
    });
}
