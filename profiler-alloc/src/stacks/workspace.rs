//! Working memory for taking one sample, kept off the program's stack: a few sets, shared by all
//! threads.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

use crate::ffi::memory;
use crate::stacks::frame_buffer::FrameBuffer;
use crate::stacks::stack_cache::StackCache;
use crate::unwinder::unwind::FirstFrame;

/// Threads that can take a sample at the same moment; one more finds no set and loses its sample.
const SETS: usize = 32;

/// Kinds of operations, each with functions of its own that walks begin in.
const KINDS: usize = 6;

/// One set.
pub struct Workspace {
    /// Room for the frames kept of one stack.
    pub frames: FrameBuffer,
    pub cache: StackCache,
    /// Of the functions that walks begin in, by kind of operation.
    pub first_frames: [FirstFrame; KINDS],
}

/// Shares no cache line with the next: sets are taken by different threads.
#[repr(align(128))]
struct Set {
    taken: AtomicBool,
    scratch: UnsafeCell<MaybeUninit<Workspace>>,
}

/// All sets.
pub struct Workspaces {
    sets: [Set; SETS],
}

// SAFETY: a set's scratch is reached only through `Taken`, of which `taken` allows one at a time.
unsafe impl Sync for Workspaces {}

impl Workspaces {
    /// `None` if the system refuses the memory. `depth` is the number of frames kept of one stack.
    pub fn new(depth: usize) -> Option<&'static Workspaces> {
        // Made where it stays: it would be 200 KiB of stack.
        let pool = memory::leak_uninit::<Workspaces>()?;
        // SAFETY: the memory is zero, for which a free set without scratch is a value; nobody else
        // reaches it yet.
        let pool = unsafe { pool.assume_init_ref() };
        for set in &pool.sets {
            set.taken.store(true, Ordering::Relaxed);
            let frames = FrameBuffer::new(memory::zeroed(FrameBuffer::words(depth))?, depth);
            // SAFETY: the set is marked taken, so nobody else reaches it yet.
            unsafe {
                (*set.scratch.get()).write(Workspace {
                    frames,
                    cache: StackCache::new(),
                    first_frames: [FirstFrame::NONE; KINDS],
                })
            };
            set.taken.store(false, Ordering::Release);
        }
        Some(pool)
    }

    /// A set that nobody uses, searched from number `first` on.
    pub fn take(&'static self, first: usize) -> Option<Taken> {
        (0..SETS)
            .map(|step| &self.sets[(first + step) % SETS])
            .find_map(|set| {
                let free =
                    !set.taken.load(Ordering::Relaxed) && !set.taken.swap(true, Ordering::Acquire);
                // Not `then_some`: one made for nothing would give the set back when it is dropped.
                if free { Some(Taken { set }) } else { None }
            })
    }
}

/// A set in use; given back when dropped.
pub struct Taken {
    set: &'static Set,
}

impl Deref for Taken {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        // SAFETY: initialised by `Workspaces::new` before `taken` was first cleared, and `taken` is
        // ours until dropped.
        unsafe { (*self.set.scratch.get()).assume_init_ref() }
    }
}

impl DerefMut for Taken {
    fn deref_mut(&mut self) -> &mut Workspace {
        // SAFETY: as above, and `self` is borrowed exclusively.
        unsafe { (*self.set.scratch.get()).assume_init_mut() }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.set.taken.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_is_given_out_once() {
        let pool = Workspaces::new(16).unwrap();
        let mut taken: Vec<_> = (0..SETS).map(|first| pool.take(first).unwrap()).collect();
        assert!((0..2 * SETS).all(|first| pool.take(first).is_none()));
        taken.pop();
        assert!(pool.take(0).is_some());
    }
}
