//! A file descriptor in a process that is not ours: out of the program's way, and never mistaken
//! for one of the program's.
//!
//! Example: the profile is opened as descriptor 3 and moved to 200, so that the program's first
//! file is 3, as it is without us. A daemon then closes every descriptor up to 1023, and opens its
//! log, which becomes 200. Device and inode of 200 are now those of the log, so nothing of ours is
//! written there.

use core::ffi::CStr;
use core::sync::atomic::{AtomicI32, Ordering};

use crate::ffi::decimal::Decimal;
use crate::ffi::memory::OwnedBytes;

/// An open file. The program may close it, as programs that close all they did not open do, and get
/// the same number for a file of its own: the file's identity tells.
pub struct Descriptor {
    /// -1 where there is none, and once closed.
    number: AtomicI32,
    identity: Option<(u64, u64)>,
    /// Where it is to be found again, if the program closes it.
    path: Option<&'static CStr>,
}

impl Descriptor {
    /// Takes over `fd`, which this crate has just opened; -1 if that failed.
    pub fn new(fd: i32) -> Descriptor {
        let number = out_of_the_way(fd);
        Descriptor {
            number: AtomicI32::new(number),
            identity: identity(number),
            path: None,
        }
    }

    /// As [`new`](Self::new), of a file that [`ours_again`](Self::ours_again) opens once more.
    pub fn lasting(fd: i32) -> Descriptor {
        let mut descriptor = Descriptor::new(fd);
        descriptor.path = path_of(descriptor.unchecked());
        descriptor
    }

    /// The number, if it still is that of our file.
    pub fn ours(&self) -> Option<i32> {
        let number = self.unchecked();
        (self.identity.is_some() && identity(number) == self.identity).then_some(number)
    }

    /// As [`ours`](Self::ours), but a file that the program has closed is opened again, if it still
    /// stands where it was: a daemon closes all that it did not open itself. Gives the `errno` of
    /// what is in the way.
    pub fn ours_again(&self) -> Result<i32, i32> {
        self.ours().map_or_else(|| self.reopen(), Ok)
    }

    #[cold]
    fn reopen(&self) -> Result<i32, i32> {
        let path = self.path.ok_or(libc::EBADF)?;
        let before = self.unchecked();
        if before < 0 {
            return Err(libc::EBADF);
        }
        // SAFETY: the path ends with a zero.
        let fd = unsafe {
            libc::open(
                path.as_ptr(),
                libc::O_RDWR | libc::O_NOFOLLOW | libc::O_CLOEXEC,
            )
        };
        if fd < 0 {
            // SAFETY: the location of this thread's errno is always valid.
            return Err(unsafe { *libc::__errno_location() });
        }
        let opened = Descriptor::new(fd);
        if opened.identity.is_none() || opened.identity != self.identity {
            return Err(libc::EBADF);
        }
        let number = opened.unchecked();
        let is_first = self
            .number
            .compare_exchange(before, number, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok();
        match is_first {
            true => {
                core::mem::forget(opened);
                Ok(number)
            }
            // Another thread was faster; what this one has opened is closed.
            false => self.ours().ok_or(libc::EBADF),
        }
    }

    /// The number, to be used only where another file under it does no harm.
    pub fn unchecked(&self) -> i32 {
        self.number.load(Ordering::Relaxed)
    }

    /// Closes it, if it still is ours.
    pub fn close(&self) {
        let ours = self.ours();
        self.number.store(-1, Ordering::Relaxed);
        if let Some(number) = ours {
            // SAFETY: the descriptor is the one this crate opened, and nothing uses it any more.
            unsafe { libc::close(number) };
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.close();
    }
}

/// Device and inode of an open file.
fn identity(fd: i32) -> Option<(u64, u64)> {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `stat` is written whole if the call succeeds.
    unsafe {
        if libc::fstat(fd, stat.as_mut_ptr()) != 0 {
            return None;
        }
        let stat = stat.assume_init();
        Some((stat.st_dev, stat.st_ino))
    }
}

/// The path of an open file from the root, in memory of its own. `None` where the system does not
/// tell.
fn path_of(fd: i32) -> Option<&'static CStr> {
    const MOST: usize = 4096;
    let mut link = [0u8; 32];
    let digits = Decimal::new(u64::try_from(fd).ok()?);
    for (to, from) in link
        .iter_mut()
        .zip(b"/proc/self/fd/".iter().chain(digits.bytes()))
    {
        *to = *from;
    }
    let mut path = OwnedBytes::zeroed(MOST)?;
    // SAFETY: the link ends with a zero, and `path` is as long as stated; its last byte stays zero.
    let len = unsafe { libc::readlink(link.as_ptr().cast(), path.as_mut_ptr().cast(), MOST - 1) };
    let is_whole = path.starts_with(b"/") && (1..MOST as isize - 1).contains(&len);
    is_whole.then(|| CStr::from_bytes_until_nul(path.leak()).ok())?
}

/// Moves a descriptor to a high number, so that the program's own keep the numbers they would have
/// without us. -1, with the descriptor closed, if it would have to stay where the program's stdin,
/// stdout or stderr is looked for.
fn out_of_the_way(fd: i32) -> i32 {
    if fd < 0 {
        return fd;
    }
    // SAFETY: duplicates and closes a descriptor that this crate has just opened.
    unsafe {
        let high = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 200);
        if high < 0 && fd > 2 {
            return fd;
        }
        libc::close(fd);
        high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_became_another_files_is_left_alone() {
        // SAFETY: opens and duplicates descriptors of this test alone.
        let (first, second) = unsafe {
            let open = |path: &CStr| libc::open(path.as_ptr(), libc::O_RDONLY);
            (open(c"/dev/null"), open(c"/"))
        };
        let descriptor = Descriptor::new(first);
        let number = descriptor.ours().expect("open");
        assert!(number >= 200);
        // SAFETY: as above.
        assert_eq!(unsafe { libc::dup2(second, number) }, number);
        assert_eq!(descriptor.ours(), None);
        descriptor.close();
        assert!(identity(number).is_some(), "the other file stays open");
        assert_eq!(descriptor.unchecked(), -1);
    }

    #[test]
    fn a_file_that_the_program_closed_is_opened_again_if_it_is_the_same() {
        let folder = std::env::temp_dir().join(format!("memprof-again-{}", std::process::id()));
        let opened = || {
            let path = std::ffi::CString::new(folder.to_str().unwrap()).unwrap();
            // SAFETY: opens a file of this test alone.
            unsafe { libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CREAT, 0o600) }
        };
        let descriptor = Descriptor::lasting(opened());
        let number = descriptor.ours().expect("open");
        // SAFETY: closes the descriptor behind its back, as a daemon does.
        assert_eq!(unsafe { libc::close(number) }, 0);
        assert_eq!(descriptor.ours(), None);
        let again = descriptor.ours_again().expect("opened again");
        assert!(again >= 200 && descriptor.ours() == Some(again));
        // Another file of that name is none of ours. The old one is kept open, so that its inode is
        // not used again.
        std::fs::remove_file(&folder).unwrap();
        let kept = opened();
        let other = Descriptor::lasting(kept);
        assert_eq!(identity(again), descriptor.identity);
        // SAFETY: as above.
        let copy = unsafe { libc::dup(again) };
        // SAFETY: as above.
        assert_eq!(unsafe { libc::close(again) }, 0);
        assert_eq!(descriptor.ours_again(), Err(libc::EBADF));
        descriptor.close();
        assert_eq!(descriptor.ours_again(), Err(libc::EBADF));
        drop(other);
        // SAFETY: as above.
        unsafe { libc::close(copy) };
        std::fs::remove_file(&folder).unwrap();
    }

    #[test]
    fn closes_its_own() {
        // SAFETY: opens a descriptor of this test alone.
        let fd = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY) };
        let descriptor = Descriptor::new(fd);
        let number = descriptor.ours().expect("open");
        descriptor.close();
        assert_eq!(identity(number), None);
        assert_eq!(Descriptor::new(-1).ours(), None);
    }
}
