//! What of the process's memory is resident: the system's list of mappings, and single pages.

use core::sync::atomic::{AtomicBool, Ordering};

use super::descriptor::Descriptor;

pub const PAGE: usize = 4096;

/// The system once did not let a file of its own be read: it is not asked again. A program that
/// shuts itself in may say something about every call that it has forbidden.
pub static READING_REFUSED: AtomicBool = AtomicBool::new(false);

/// `/proc/self/smaps`, kept open: a program that shuts itself in may not open it later.
pub struct Smaps {
    file: Descriptor,
    /// The program has closed it.
    is_gone: AtomicBool,
}

impl Smaps {
    pub fn open() -> Smaps {
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        // SAFETY: the path ends with a zero.
        let fd = unsafe { libc::open(c"/proc/self/smaps".as_ptr(), flags) };
        Smaps {
            file: Descriptor::new(fd),
            is_gone: AtomicBool::new(false),
        }
    }

    /// Whether the system may be asked.
    pub fn is_open(&self) -> bool {
        self.file.unchecked() >= 0
            && !READING_REFUSED.load(Ordering::Relaxed)
            && !self.is_gone.load(Ordering::Relaxed)
    }

    /// Gives each line to `visit`, cut off at the buffer's length. False where the system does not
    /// tell, or the program has closed the file, as daemons do; it is not asked again then.
    pub fn each_line(&self, buffer: &mut [u8], mut visit: impl FnMut(&[u8])) -> bool {
        if !self.is_open() {
            return false;
        }
        // What has its number now may be a file of the program's, of any length.
        let Some(fd) = self.file.ours() else {
            self.is_gone.store(true, Ordering::Relaxed);
            return false;
        };
        let mut at = 0;
        lines(buffer, &mut visit, |free| {
            // SAFETY: the buffer is as long as stated.
            let len = unsafe { libc::pread(fd, free.as_mut_ptr().cast(), free.len(), at) as isize };
            if len < 0 {
                READING_REFUSED.store(true, Ordering::Relaxed);
            }
            at += len.max(0) as i64;
            len
        })
    }

    /// Closes the file.
    pub fn close(&self) {
        self.file.close();
    }
}

/// Cuts what `read` gives into lines. A line that is longer than the buffer is given in parts.
fn lines(
    buffer: &mut [u8],
    visit: &mut impl FnMut(&[u8]),
    mut read: impl FnMut(&mut [u8]) -> isize,
) -> bool {
    let mut filled = 0;
    loop {
        let got = read(&mut buffer[filled..]);
        if got <= 0 {
            if filled > 0 {
                visit(&buffer[..filled]);
            }
            return got == 0;
        }
        filled += got as usize;
        let mut from = 0;
        while let Some(len) = buffer[from..filled].iter().position(|&byte| byte == b'\n') {
            visit(&buffer[from..from + len]);
            from += len + 1;
        }
        if from == 0 && filled == buffer.len() {
            visit(buffer);
            from = filled;
        }
        buffer.copy_within(from..filled, 0);
        filled -= from;
    }
}

/// Bytes of whole pages from `start` to `start + len` that are resident. 0 where the system does
/// not tell, as of addresses that are not mapped. `vector` may be of any length but 0.
pub fn resident(start: usize, len: usize, vector: &mut [u8]) -> usize {
    let end = start.saturating_add(len).next_multiple_of(PAGE);
    let mut at = start & !(PAGE - 1);
    let mut pages = 0;
    while at < end {
        let many = ((end - at) / PAGE).min(vector.len());
        let base = core::ptr::without_provenance_mut(at);
        // SAFETY: the vector has a byte for each of the pages; their memory is not touched.
        if unsafe { libc::mincore(base, many * PAGE, vector.as_mut_ptr()) } != 0 {
            break;
        }
        pages += vector[..many].iter().filter(|&&byte| byte & 1 != 0).count();
        at += many * PAGE;
    }
    pages * PAGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_are_read() {
        let text = b"first\nsecond line\n\nlast";
        for step in 1..text.len() {
            for room in 12..40 {
                let (mut at, mut seen) = (0, Vec::new());
                let is_whole = lines(
                    &mut vec![0; room],
                    &mut |line: &[u8]| seen.push(line.to_vec()),
                    |free| {
                        let len = step.min(free.len()).min(text.len() - at);
                        free[..len].copy_from_slice(&text[at..at + len]);
                        at += len;
                        len as isize
                    },
                );
                assert!(is_whole);
                let expected: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
                assert_eq!(seen, expected, "{step} bytes at a time");
            }
        }
    }

    #[test]
    fn pages_that_were_touched_are_resident() {
        let memory = crate::ffi::memory::OwnedBytes::zeroed(40 * PAGE);
        let mut memory = memory.expect("memory");
        let base = memory.as_ptr().addr();
        let ask = |vector: usize| resident(base, 40 * PAGE, &mut vec![0; vector]);
        assert_eq!(ask(7), 0);
        memory[3 * PAGE] = 1;
        memory[30 * PAGE + 5] = 1;
        assert_eq!((ask(7), ask(1), ask(4096)), (2 * PAGE, 2 * PAGE, 2 * PAGE));
        assert_eq!(resident(base + 3 * PAGE + 9, 1, &mut [0]), PAGE);
        assert_eq!(resident(8, 8, &mut [0]), 0);
    }

    /// A daemon closes all that it did not open, and opens its log: nothing of it is read.
    #[test]
    fn a_file_of_the_programs_is_not_read() {
        let smaps = Smaps::open();
        let number = smaps.file.unchecked();
        // SAFETY: the number is this test's own file's, and another of its own takes its place.
        unsafe {
            let log = libc::open(c"/proc/self/status".as_ptr(), libc::O_RDONLY);
            assert!(log >= 0 && libc::dup2(log, number) == number);
            libc::close(log);
        }
        assert!(!smaps.each_line(&mut [0; 512], |_| panic!("a line")));
        assert!(!smaps.is_open());
    }

    #[test]
    fn the_system_lists_what_is_mapped() {
        let mut rss = 0;
        let smaps = Smaps::open();
        let mut count = || {
            smaps.each_line(&mut [0; 8192], |line| {
                rss += usize::from(line.starts_with(b"Rss:"));
            })
        };
        assert!(count() && count());
        assert!(rss > 20, "{rss}");
    }
}
