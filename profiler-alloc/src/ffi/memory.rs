//! Memory that the recorder takes from the system, never from an allocator.
//!
//! Memory handed out here lives until the process ends: other threads may still read it after a
//! recording is over, and the hook must not wait for them. Reserved addresses that were never
//! filled can be given back.

use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};

use super::pages;

use profiler_alloc_format::{
    AccountCells, AgeCells, CohortCells, ContextCells, ContextSetCells, FunctionCells,
    FurtherCells, HeaderCells, HeapCells, LineCells, ModuleCells, NodeCells, PointCells,
    ShareCells, SizeClassCells, SnapshotCells, StackCells, StackSpanCells, ThreadCells,
    TouchedCells,
};

/// Types for which all-zero bytes are a valid value that may be shared between threads.
///
/// # Safety
/// Every bit pattern of zeros must be a valid value, and the type must be `Sync` through interior
/// atomics only.
pub unsafe trait Zeroed: Sync + 'static {}

macro_rules! zeroed {
    ($($ty:ty),*) => {
        $(
            // SAFETY: made of atomic integers (and arrays of them) only, for which zero is a value.
            unsafe impl Zeroed for $ty {}
        )*
    };
}
zeroed!(
    AtomicU8,
    AtomicU32,
    AtomicU64,
    HeaderCells,
    SizeClassCells,
    ThreadCells,
    NodeCells,
    StackCells,
    ModuleCells,
    PointCells,
    FunctionCells,
    ShareCells,
    LineCells,
    FurtherCells,
    ContextCells,
    ContextSetCells,
    HeapCells,
    StackSpanCells,
    AccountCells,
    TouchedCells,
    SnapshotCells,
    AgeCells,
    CohortCells
);

/// `count` zeros, whose pages take memory only once they are touched. `None` if the system refuses.
pub fn zeroed<T: Zeroed>(count: usize) -> Option<&'static [T]> {
    let len = count.checked_mul(size_of::<T>())?;
    let base = pages::zeroed(len, align_of::<T>())?;
    // SAFETY: the mapping is fresh, aligned for T, `len` bytes long and never unmapped; T allows
    // zeros.
    Some(unsafe { core::slice::from_raw_parts(base.cast::<T>(), count) })
}

/// Types made of plain integers, for which all-zero bytes are a value.
///
/// # Safety
/// As stated.
pub unsafe trait Plain: 'static {}

// SAFETY: a plain integer.
unsafe impl Plain for u8 {}
// SAFETY: a plain integer.
unsafe impl Plain for u16 {}
// SAFETY: made of plain integers.
unsafe impl<const N: usize> Plain for [u64; N] {}

/// As [`zeroed`], for one owner.
pub fn zeroed_mut<T: Plain>(count: usize) -> Option<&'static mut [T]> {
    let len = count.checked_mul(size_of::<T>())?;
    let base = pages::zeroed(len, align_of::<T>())?;
    // SAFETY: the mapping is fresh, aligned for T, `len` bytes long, never unmapped, and known to
    // nobody else; T allows zeros.
    Some(unsafe { core::slice::from_raw_parts_mut(base.cast::<T>(), count) })
}

/// Asks the program's allocator for a block that none has to give: no memory of this layout fits
/// into the address space.
pub fn ask_in_vain(layout: Layout) {
    if layout.size() > 0 && layout.align() >= 1 << (usize::BITS - 2) {
        // SAFETY: the layout has a size.
        core::hint::black_box(unsafe { std::alloc::alloc(layout) });
    }
}

/// Moves `value` to memory of its own that lives as long as the process.
pub fn leak<T: Sync>(value: T) -> Option<&'static T> {
    let place: *mut T = leak_uninit()?.as_mut_ptr();
    // SAFETY: the mapping is fresh, aligned for T, large enough and never unmapped. Not by
    // `MaybeUninit::write`: unoptimized, that would have three copies of the value on the stack.
    unsafe { place.write(value) };
    // SAFETY: as above, and it was just written.
    Some(unsafe { &*place })
}

/// Memory for one value that lives as long as the process; zero.
pub fn leak_uninit<T: Sync>() -> Option<&'static mut MaybeUninit<T>> {
    let base = pages::zeroed(size_of::<T>().max(1), align_of::<T>())?;
    // SAFETY: the mapping is fresh, aligned for T, large enough and never
    // unmapped.
    Some(unsafe { &mut *base.cast::<MaybeUninit<T>>() })
}

/// Values that live as long as the process, each made where it stays: none of them is ever on the
/// stack of the caller, which may be small.
pub fn leak_many<T: Sync>(
    count: usize,
    mut make: impl FnMut(usize) -> T,
) -> Option<&'static mut [T]> {
    let len = count.checked_mul(size_of::<T>())?;
    let base = pages::zeroed(len.max(1), align_of::<T>())?.cast::<T>();
    for at in 0..count {
        // SAFETY: the mapping is fresh, aligned for T and has room for
        // `count` values.
        unsafe { base.add(at).write(make(at)) };
    }
    // SAFETY: all values were just written, and nobody else knows of them; the mapping stays.
    Some(unsafe { core::slice::from_raw_parts_mut(base, count) })
}

/// Zeroed values of one owner, given back when dropped: for what is too large for the stack of
/// whoever starts a recording, which may be a small one.
pub struct OwnedSlice<T: Plain> {
    base: NonNull<T>,
    len: usize,
}

/// As stated, of bytes.
pub type OwnedBytes = OwnedSlice<u8>;

// SAFETY: the values are the owner's alone, as a boxed slice's are.
unsafe impl<T: Plain + Send> Send for OwnedSlice<T> {}
// SAFETY: as above.
unsafe impl<T: Plain + Sync> Sync for OwnedSlice<T> {}

impl<T: Plain> OwnedSlice<T> {
    /// `len` zeros. `None` if the system refuses.
    pub fn zeroed(len: usize) -> Option<OwnedSlice<T>> {
        let bytes = len.checked_mul(size_of::<T>())?.max(1);
        let base = NonNull::new(pages::zeroed(bytes, align_of::<T>())?.cast())?;
        Some(OwnedSlice { base, len })
    }

    /// The values, which from now on live as long as the process.
    pub fn leak(self) -> &'static [T] {
        let values = core::mem::ManuallyDrop::new(self);
        // SAFETY: mapped, `len` values long, and never given back, as the owner is not dropped.
        unsafe { core::slice::from_raw_parts(values.base.as_ptr(), values.len) }
    }
}

impl<T: Plain> Deref for OwnedSlice<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: mapped and `len` values long until dropped, and only reached through this owner;
        // T allows zeros.
        unsafe { core::slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }
}

impl<T: Plain> DerefMut for OwnedSlice<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and the owner is borrowed exclusively.
        unsafe { core::slice::from_raw_parts_mut(self.base.as_ptr(), self.len) }
    }
}

impl<T: Plain> Drop for OwnedSlice<T> {
    fn drop(&mut self) {
        let bytes = (self.len * size_of::<T>()).max(1);
        // SAFETY: `zeroed` gave them, and no borrow of them outlives the owner.
        unsafe { pages::free(self.base.as_ptr().cast(), bytes, align_of::<T>()) };
    }
}

/// A copy of `bytes` that lives as long as the process. `None` if the system refuses memory.
pub fn copied(bytes: &[u8]) -> Option<&'static [u8]> {
    let mut copy = OwnedBytes::zeroed(bytes.len())?;
    copy.copy_from_slice(bytes);
    Some(copy.leak())
}

/// As [`zeroed`], and zero again in a forked child, whatever way it was forked. Of whole pages.
pub fn wiped_on_fork<T: Zeroed>(count: usize) -> Option<&'static [T]> {
    let memory: &'static [T] = zeroed(count)?;
    let base = memory.as_ptr().cast_mut();
    // SAFETY: the pages were just mapped, and nobody else knows of them.
    let is_wiped = unsafe { pages::wipe_on_fork(base.cast(), size_of_val(memory)) };
    is_wiped.then_some(memory)
}

pub use pages::{give_back, own, reserve};
