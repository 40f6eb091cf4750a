//! The global allocator: forwards every call to the allocator inside it, and counts.

use core::alloc::{GlobalAlloc, Layout};
use core::any::TypeId;
use std::alloc::System;

#[cfg(all(can_record, not(feature = "preload")))]
use profiler_alloc_format::env;

#[cfg(all(can_record, not(feature = "preload")))]
use crate::c_heap;
use crate::counters::installed::{self, KNOCK};
use crate::counters::slot;
#[cfg(all(can_record, not(feature = "preload")))]
use crate::ffi::os;
use crate::ffi::system;
use crate::resident::block_sizes;
use crate::sampling::fast_path;
use crate::slow_path;
use crate::unwinder::registers::Registers;

/// Has the recording begin while the program or library is loaded, where there is stack enough: to
/// begin takes some 40 KiB, and the first block that the program itself takes may be a signal
/// handler's, or a small thread's.
///
/// Only the program's own allocator begins a recording, as there may be another: so it is asked.
#[cfg(all(can_record, not(feature = "preload")))]
#[used]
// Before all that a program's own libraries have to be done then.
#[unsafe(link_section = ".init_array.00101")]
static AT_LOAD: extern "C" fn() = knock;

#[cfg(all(can_record, not(feature = "preload")))]
extern "C" fn knock() {
    if os::env(env::OUTPUT).is_none_or(<[u8]>::is_empty) {
        return;
    }
    installed::knock(installed::START);
}

/// A global allocator that counts exactly what passes through it, and records stacks when asked to.
///
/// Wraps the system's allocator by default, or any other. All four methods are forwarded as they
/// are: `alloc_zeroed` stays a `calloc`, `realloc` a `realloc`, and layouts are never changed.
///
/// ```
/// use profiler_alloc::ProfilerAlloc;
///
/// #[global_allocator]
/// static ALLOC: ProfilerAlloc = ProfilerAlloc::system();
///
/// # fn main() {
/// let before = profiler_alloc::stats();
/// let list = vec![0u8; 1000];
/// assert_eq!((profiler_alloc::stats() - before).bytes_allocated, 1000);
/// # drop(list);
/// # }
/// ```
#[derive(Debug, Default)]
pub struct ProfilerAlloc<A = System> {
    inner: A,
}

/// The name of the note that says that a program has this crate.
#[cfg(can_record)]
pub const NOTE_NAME: &[u8; 8] = b"memprof\0";

/// A note in the program: a preloaded recorder leaves such programs to themselves, so that no block
/// is counted twice. It is loaded with the program, and survives `strip`.
#[cfg(all(can_record, not(feature = "preload")))]
#[repr(C, align(4))]
struct Note {
    name_len: u32,
    text_len: u32,
    kind: u32,
    name: [u8; 8],
    version: u32,
}

#[cfg(all(can_record, not(feature = "preload")))]
#[used]
#[unsafe(link_section = ".note.memprof")]
static NOTE: Note = Note {
    name_len: 8,
    text_len: 4,
    kind: 1,
    name: *NOTE_NAME,
    version: profiler_alloc_format::VERSION,
};

impl ProfilerAlloc<System> {
    /// Over the system's allocator.
    pub const fn system() -> Self {
        Self::new(System)
    }
}

impl<A: GlobalAlloc> ProfilerAlloc<A> {
    /// Over another allocator, such as mimalloc or jemalloc.
    ///
    /// ```
    /// use profiler_alloc::ProfilerAlloc;
    /// use std::alloc::System; // stands for mimalloc::MiMalloc, tikv_jemallocator::Jemalloc, …
    ///
    /// #[global_allocator]
    /// static ALLOC: ProfilerAlloc<System> = ProfilerAlloc::new(System);
    /// # fn main() {}
    /// ```
    pub const fn new(inner: A) -> Self {
        ProfilerAlloc { inner }
    }

    /// The allocator inside.
    #[doc(hidden)]
    #[cfg(feature = "preload")]
    pub const fn inner(&self) -> &A {
        &self.inner
    }
}

/// True of the system's allocator, which is then asked in a way that goes past a preloaded library.
#[inline(always)]
fn is_system<A: 'static>() -> bool {
    cfg!(not(feature = "preload")) && TypeId::of::<A>() == TypeId::of::<System>()
}

// What the inner allocator is asked.
impl<A: GlobalAlloc + 'static> ProfilerAlloc<A> {
    /// # Safety
    /// As for [`GlobalAlloc::alloc`].
    #[inline(always)]
    unsafe fn take(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        unsafe {
            match is_system::<A>() {
                true => system::alloc(layout),
                false => self.inner.alloc(layout),
            }
        }
    }

    /// # Safety
    /// As for [`GlobalAlloc::alloc_zeroed`].
    #[inline(always)]
    unsafe fn take_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        unsafe {
            match is_system::<A>() {
                true => system::alloc_zeroed(layout),
                false => self.inner.alloc_zeroed(layout),
            }
        }
    }

    /// # Safety
    /// As for [`GlobalAlloc::dealloc`].
    #[inline(always)]
    unsafe fn give_back(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe {
            match is_system::<A>() {
                true => system::dealloc(ptr, layout),
                false => self.inner.dealloc(ptr, layout),
            }
        }
    }

    /// # Safety
    /// As for [`GlobalAlloc::realloc`].
    #[inline(always)]
    unsafe fn resize(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        unsafe {
            match is_system::<A>() {
                true => system::realloc(ptr, layout, new_size),
                false => self.inner.realloc(ptr, layout, new_size),
            }
        }
    }
}

// The fast paths need no frame beyond one saved register, and what is rare is another function,
// which they end with a jump to. It captures the registers, so the recorder's own frames are not in
// the stack that is walked from there.
//
// SAFETY: every method hands its arguments to the inner allocator unchanged and returns what that
// returns; what comes before and after neither unwinds nor touches the block.
unsafe impl<A: GlobalAlloc + 'static> GlobalAlloc for ProfilerAlloc<A> {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_ordinary(&layout) {
            // SAFETY: the caller's promises are passed on.
            count_alloc(unsafe { self.take(layout) }, layout.size())
        } else {
            // SAFETY: as above.
            unsafe { self.alloc_aligned(layout) }
        }
    }

    #[inline(never)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_ordinary(&layout) {
            // SAFETY: the caller's promises are passed on.
            count_alloc(unsafe { self.take_zeroed(layout) }, layout.size())
        } else {
            // SAFETY: as above.
            unsafe { self.alloc_zeroed_aligned(layout) }
        }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // Before the real free: from then on the address may be another thread's.
        if fast_path::count_free(ptr.expose_provenance(), layout.size()) {
            // SAFETY: the caller's promises are passed on.
            unsafe { self.give_back(ptr, layout) }
        } else {
            // SAFETY: as above.
            unsafe { self.dealloc_slow(ptr, layout) }
        }
    }

    #[inline(never)]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if slow_path::may_be_sampled(ptr.expose_provenance()) {
            // SAFETY: the caller's promises are passed on.
            return unsafe { self.realloc_sampled(ptr, layout, new_size) };
        }
        // SAFETY: as above.
        let new = unsafe { self.resize(ptr, layout, new_size) };
        if new.is_null() || fast_path::count_realloc(layout.size(), new_size) {
            new
        } else {
            reallocated_slow((ptr.addr(), new), layout.size(), new_size)
        }
    }
}

impl<A: GlobalAlloc + 'static> ProfilerAlloc<A> {
    /// Over-aligned allocation: inner allocators take `posix_memalign` here, whose call needs a
    /// stack frame, so it is kept out of the fast path.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::alloc`].
    #[inline(never)]
    unsafe fn alloc_aligned(&self, layout: Layout) -> *mut u8 {
        if layout.align() == KNOCK {
            let is_glibcs = is_system::<A>() && system::is_glibcs();
            block_sizes::say(is_glibcs.then_some(0));
            if layout.size() != installed::START {
                return core::ptr::null_mut();
            }
            #[cfg(all(can_record, not(feature = "preload")))]
            // SAFETY: nobody knocks but `knock`, which is called while the program or library is
            // being loaded.
            if let Some(in_use) = unsafe { system::connect(&c_heap::TELLER, || self.ask()) } {
                c_heap::is_connected(in_use);
            }
            slow_path::start_at_load();
            return core::ptr::null_mut();
        }
        // SAFETY: the caller's promises are passed on.
        count_alloc(unsafe { self.take(layout) }, layout.size())
    }

    /// Asks the inner allocator for a block, and gives it back: nothing of it is counted.
    #[cfg(all(can_record, not(feature = "preload")))]
    #[cold]
    fn ask(&self) {
        let layout = Layout::new::<[usize; 2]>();
        // SAFETY: the layout has a size, and the block is given back as it was taken.
        unsafe {
            // Without it, the compiler leaves both calls out.
            let block = core::hint::black_box(self.take(layout));
            if !block.is_null() {
                self.give_back(block, layout);
            }
        }
    }

    /// As [`alloc_aligned`](Self::alloc_aligned), of zeros.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::alloc_zeroed`].
    #[inline(never)]
    unsafe fn alloc_zeroed_aligned(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        count_alloc(unsafe { self.take_zeroed(layout) }, layout.size())
    }

    /// The reallocation of a block that was or may have been sampled. It is forgotten first, so
    /// that whoever gets the address next is not confused.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::realloc`].
    #[cold]
    #[inline(never)]
    unsafe fn realloc_sampled(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let address = ptr.expose_provenance();
        let old = slow_path::before_realloc(address);
        // SAFETY: the caller's promises are passed on.
        let new = unsafe { self.resize(ptr, layout, new_size) };
        if new.is_null() {
            slow_path::realloc_failed(old);
        } else if old.is_some() || !fast_path::count_realloc(layout.size(), new_size) {
            let sizes = (layout.size(), new_size);
            let addresses = (address, new.expose_provenance());
            slow_path::reallocated(Registers::capture(), old, addresses, sizes);
        }
        new
    }

    /// The free of a block that was or may have been sampled, or when a look is due.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::dealloc`].
    #[cold]
    #[inline(never)]
    unsafe fn dealloc_slow(&self, ptr: *mut u8, layout: Layout) {
        slow_path::freeing(Registers::capture(), ptr.expose_provenance(), layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { self.give_back(ptr, layout) }
    }
}

/// True for what a C allocator's plain functions give.
#[inline(always)]
fn is_ordinary(layout: &Layout) -> bool {
    const MALLOC_ALIGN: usize = 2 * size_of::<usize>();
    layout.align() <= MALLOC_ALIGN && layout.align() <= layout.size()
}

#[inline(always)]
fn count_alloc(ptr: *mut u8, size: usize) -> *mut u8 {
    // A failed allocation is not counted.
    if ptr.is_null() || slot::count_alloc_fast(size) {
        ptr
    } else {
        allocated_slow(ptr, size)
    }
}

/// The reallocation of a block that was not sampled, from an old address to `new`, which is not
/// only to be counted; gives `new` back.
#[cold]
#[inline(never)]
fn reallocated_slow((old, new): (usize, *mut u8), old_size: usize, new_size: usize) -> *mut u8 {
    let sizes = (old_size, new_size);
    slow_path::reallocated(
        Registers::capture(),
        None,
        (old, new.expose_provenance()),
        sizes,
    );
    new
}

/// An allocation that is not only to be counted; gives `ptr` back.
#[cold]
#[inline(never)]
fn allocated_slow(ptr: *mut u8, size: usize) -> *mut u8 {
    slow_path::allocated(Registers::capture(), ptr.expose_provenance(), size);
    ptr
}
