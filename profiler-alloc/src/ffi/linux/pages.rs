//! Memory straight from the system: private mappings.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::own_calls;

/// Mappings of the recorder's that can be told apart from the program's. What is beyond is counted
/// as the program's.
const MOST_OWN: usize = 1024;
/// Address and length of each; a length of 0 is none.
static OWN: [[AtomicUsize; 2]; MOST_OWN] = [const { [const { AtomicUsize::new(0) }; 2] }; MOST_OWN];
static OWN_COUNT: AtomicUsize = AtomicUsize::new(0);

/// The recorder's own memory: address and length of each mapping.
pub fn own() -> impl Iterator<Item = (usize, usize)> {
    let count = OWN_COUNT.load(Ordering::Acquire).min(MOST_OWN);
    let pairs = OWN[..count].iter().map(|[base, len]| {
        let len = len.load(Ordering::Acquire);
        (base.load(Ordering::Relaxed), len)
    });
    pairs.filter(|&(_, len)| len > 0)
}

fn note_own(base: usize, len: usize) {
    let known = OWN_COUNT.load(Ordering::Relaxed).min(MOST_OWN);
    // What was given back leaves its place to another.
    let is_claimed = |[_, cell]: &&[AtomicUsize; 2]| {
        cell.load(Ordering::Relaxed) == 0
            && cell
                .compare_exchange(0, len, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
    };
    let place = OWN[..known].iter().find(is_claimed).or_else(|| {
        let at = OWN_COUNT.fetch_add(1, Ordering::Relaxed);
        OWN.get(at)
    });
    if let Some([own_base, own_len]) = place {
        own_base.store(base, Ordering::Relaxed);
        own_len.store(len, Ordering::Release);
    }
}

fn forget_own(base: usize) {
    let own = OWN.iter().find(|[own_base, own_len]| {
        own_len.load(Ordering::Relaxed) > 0 && own_base.load(Ordering::Relaxed) == base
    });
    if let Some([_, len]) = own {
        len.store(0, Ordering::Release);
    }
}

/// `len` bytes, zero, aligned to `align`, which take memory only once they are touched, and stay.
pub fn zeroed(len: usize, align: usize) -> Option<*mut u8> {
    // A mapping begins with a page.
    debug_assert!(align <= 4096);
    let base = map(len, libc::PROT_READ | libc::PROT_WRITE)?;
    note_own(base.addr(), len);
    Some(base)
}

/// Gives back all that [`zeroed`] gave.
///
/// # Safety
/// The three are those of one call, and nobody looks at the memory any more.
pub unsafe fn free(base: *mut u8, len: usize, _: usize) {
    forget_own(base.addr());
    // SAFETY: as the caller promises, nobody can be looking at it.
    unsafe { own_calls::munmap(base.cast(), len) };
}

/// Address space without memory behind it, to be filled in by the file's chunks.
pub fn reserve(len: usize) -> Option<*mut u8> {
    map(len, libc::PROT_NONE)
}

/// Gives back the end of what [`reserve`] gave.
///
/// # Safety
/// Nothing was ever filled in there, and nothing will be.
pub unsafe fn give_back(base: *mut u8, len: usize) {
    if len > 0 {
        // SAFETY: as the caller promises, nobody can be looking at it.
        unsafe { own_calls::munmap(base.cast(), len) };
    }
}

/// Has the kernel empty the pages in a forked child. False if it refuses.
///
/// # Safety
/// They were given by [`zeroed`], and are the caller's alone.
pub unsafe fn wipe_on_fork(base: *mut u8, len: usize) -> bool {
    // SAFETY: they are mapped private and anonymous, as MADV_WIPEONFORK asks.
    unsafe { libc::madvise(base.cast(), len, libc::MADV_WIPEONFORK) == 0 }
}

fn map(len: usize, protection: i32) -> Option<*mut u8> {
    // Miri, which runs the unit tests too, knows nothing of reservations.
    let unreserved = if cfg!(miri) { 0 } else { libc::MAP_NORESERVE };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | unreserved;
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing that
    // exists.
    let base = unsafe { own_calls::mmap(core::ptr::null_mut(), len, protection, flags, -1, 0) };
    (base != libc::MAP_FAILED).then_some(base.cast())
}
