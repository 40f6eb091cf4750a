//! A file descriptor that lives beside the program's own: out of their way, and never mistaken for one of them.

use core::sync::atomic::{AtomicI32, Ordering};

/// An open file. The program may close it, as programs that close all they did not open do, and get the same number for a
/// file of its own: the file's identity tells.
pub struct Descriptor {
    /// -1 where there is none, and once closed.
    number: AtomicI32,
    identity: Option<(u64, u64)>,
}

impl Descriptor {
    /// Takes over `fd`, which this crate has just opened; -1 if that failed.
    pub fn new(fd: i32) -> Descriptor {
        let number = out_of_the_way(fd);
        Descriptor {
            number: AtomicI32::new(number),
            identity: identity(number),
        }
    }

    /// The number, if it still is that of our file.
    pub fn ours(&self) -> Option<i32> {
        let number = self.unchecked();
        (self.identity.is_some() && identity(number) == self.identity).then_some(number)
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

/// Moves a descriptor to a high number, so that the program's own keep the numbers they would have without us. -1, with
/// the descriptor closed, if it would have to stay where the program's stdin, stdout or stderr is looked for.
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
            let open = |path: &core::ffi::CStr| libc::open(path.as_ptr(), libc::O_RDONLY);
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
