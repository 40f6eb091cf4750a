//! Whether an address can be read, without reading it.

use core::ops::Range;
use core::sync::atomic::{AtomicU8, Ordering};

use crate::ffi::os::last_error;

/// Linux 5.14; not known to every edition of the C library's headers.
const MADV_POPULATE_READ: i32 = 22;
const PAGE: usize = 4096;

/// How to ask whether memory can be read.
static ASKING: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const BY_POPULATING: u8 = 1;
const BY_COPYING: u8 = 2;

/// True if all pages that `range` touches can be read. Where the kernel may not be asked, the
/// answer is no.
///
/// The kernel is asked to make the pages ready for reading. Older ones do not know how, and
/// emulators may take it for advice that means nothing: there it has to copy a word of each page
/// for a call that is invalid otherwise, which debugging tools remark upon.
pub fn is_readable(range: Range<usize>) -> bool {
    if range.is_empty() {
        return false;
    }
    let how = match ASKING.load(Ordering::Relaxed) {
        UNKNOWN => choose_asking(),
        how => how,
    };
    let mut pages = (range.start & !(PAGE - 1)..range.end).step_by(PAGE);
    match how {
        BY_POPULATING => populate(range),
        _ => pages.all(copy),
    }
}

#[cold]
fn choose_asking() -> u8 {
    let local = 0u64;
    let here = (&raw const local).addr();
    let how = match populate(here..here + 1) && !populate(0..1) {
        true => BY_POPULATING,
        false => BY_COPYING,
    };
    ASKING.store(how, Ordering::Relaxed);
    how
}

/// Fails with an error instead of a fault.
fn populate(range: Range<usize>) -> bool {
    let start = range.start & !(PAGE - 1);
    let base = core::ptr::without_provenance_mut(start);
    let len = range.end.saturating_sub(start);
    // SAFETY: reads pages in, at most; changes nothing that a program could notice.
    unsafe { libc::madvise(base, len, MADV_POPULATE_READ) == 0 }
}

/// Copies the 8 bytes at `address`, which fails with EFAULT instead of a fault.
fn copy(address: usize) -> bool {
    // SAFETY: an invalid `how` makes the call fail with EINVAL after the copy; no signal mask is
    // changed.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, -1, address, 0usize, 8usize) };
    result != 0 && last_error() == libc::EINVAL
}

/// Copies memory of the process that another thread may unmap at any moment: as much as there is,
/// up to the buffer's length. `None` where the kernel may not be asked.
#[cfg(not(portable_unwinder))]
pub fn copy_memory(address: usize, buffer: &mut [u8]) -> Option<usize> {
    let local = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let remote = libc::iovec {
        iov_base: core::ptr::without_provenance_mut(address),
        iov_len: buffer.len(),
    };
    // SAFETY: writes to the buffer alone, of which `local` tells the length; what cannot be read is
    // an error.
    let copied = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
    match usize::try_from(copied) {
        Ok(copied) => Some(copied),
        Err(_) => (last_error() == libc::EFAULT).then_some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readable_tells_mapped_from_unmapped() {
        let value = 0u64;
        let here = &raw const value as usize;
        let pages = crate::ffi::memory::reserve(3 * PAGE).unwrap();
        // SAFETY: the middle of what was just mapped for nobody else.
        let made = unsafe { libc::mprotect(pages.add(PAGE).cast(), PAGE, libc::PROT_READ) };
        assert_eq!(made, 0);
        let middle = pages.addr() + PAGE;
        let copy_first = |range: Range<usize>| copy(range.start);
        // An emulator may take the advice for one that means nothing.
        let best = match choose_asking() {
            BY_POPULATING => populate,
            _ => copy_first,
        };
        for each in [is_readable, best, copy_first] {
            assert!(each(here..here + 1));
            assert!(each(middle..middle + PAGE));
            for not in [8, middle - PAGE, middle + PAGE, usize::MAX & !(PAGE - 1)] {
                assert!(!each(not..not.saturating_add(8)), "{not:#x}");
            }
        }
        assert!(!is_readable(here..here));
        assert!(!is_readable(middle - 1..middle + 1));
        assert!(!is_readable(middle..middle + PAGE + 1));
    }

    #[cfg(not(portable_unwinder))]
    #[test]
    fn memory_is_copied_as_far_as_it_goes() {
        let pages = crate::ffi::memory::reserve(2 * PAGE).unwrap();
        // SAFETY: the first half of what was just mapped for nobody else.
        let made = unsafe { libc::mprotect(pages.cast(), PAGE, libc::PROT_READ) };
        assert_eq!(made, 0);
        let mut buffer = [7; 16];
        let Some(copied) = copy_memory(pages.addr(), &mut buffer) else {
            // An emulator may not know how.
            return;
        };
        assert_eq!((copied, buffer), (16, [0; 16]));
        assert_eq!(copy_memory(pages.addr() + PAGE - 8, &mut buffer), Some(8));
        for not in [8, pages.addr() + PAGE] {
            assert_eq!(copy_memory(not, &mut buffer), Some(0), "{not:#x}");
        }
    }
}
