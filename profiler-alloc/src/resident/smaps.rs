//! Lines of `/proc/self/smaps`, made into mappings:
//!
//! ```text
//! 55d0c0000000-55d0c0021000 rw-p 00000000 00:00 0                          [heap]
//! Size:                132 kB
//! Rss:                  12 kB
//! …
//! ```

/// What a mapping is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Of {
    /// No file.
    #[default]
    Anonymous,
    /// Where `brk` gives memory: the C library's first arena.
    Brk,
    /// The main thread's stack.
    Stack,
    /// The kernel's own: vdso and the like.
    Kernel,
    /// Shared with other processes, or of a file of memory alone.
    Memory,
    /// A file.
    File(File),
}

/// Device and inode of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct File {
    pub device: u64,
    pub inode: u64,
}

/// One mapping, sizes in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mapping {
    pub start: usize,
    pub end: usize,
    pub is_readable: bool,
    pub is_executable: bool,
    pub of: Of,
    pub resident: u64,
    pub swap: u64,
    pub huge: u64,
}

/// Reads line after line.
#[derive(Default)]
pub struct SmapsReader {
    current: Option<Mapping>,
}

impl SmapsReader {
    /// Takes the next line; gives the mapping that it ends.
    pub fn line(&mut self, line: &[u8]) -> Option<Mapping> {
        if line.first().is_some_and(u8::is_ascii_uppercase) {
            if let Some(mapping) = &mut self.current {
                field(mapping, line);
            }
            return None;
        }
        core::mem::replace(&mut self.current, head(line))
    }

    /// The last mapping.
    pub fn end(self) -> Option<Mapping> {
        self.current
    }
}

fn field(mapping: &mut Mapping, line: &[u8]) {
    let cell = match line.split(|&byte| byte == b':').next() {
        Some(b"Rss") => &mut mapping.resident,
        Some(b"Swap") => &mut mapping.swap,
        Some(b"AnonHugePages" | b"ShmemPmdMapped" | b"FilePmdMapped") => &mut mapping.huge,
        _ => return,
    };
    let kilobytes = words(line).nth(1).and_then(|word| number(word, 10));
    *cell = cell.saturating_add(kilobytes.unwrap_or(0).saturating_mul(1024));
}

fn head(line: &[u8]) -> Option<Mapping> {
    let mut words = words(line);
    let mut range = words.next()?.split(|&byte| byte == b'-');
    let start = number(range.next()?, 16)? as usize;
    let end = number(range.next()?, 16)? as usize;
    let rights = words.next()?;
    let mut device = words.nth(1)?.split(|&byte| byte == b':');
    let major = number(device.next()?, 16)?;
    let minor = number(device.next()?, 16)?;
    let inode = number(words.next()?, 10)?;
    let name = words.next().unwrap_or_default();
    Some(Mapping {
        start,
        end,
        is_readable: rights.first() == Some(&b'r'),
        is_executable: rights.get(2) == Some(&b'x'),
        of: of(name, rights.get(3) == Some(&b's'), || File {
            device: major << 32 | minor,
            inode,
        }),
        ..Mapping::default()
    })
}

fn of(name: &[u8], is_shared: bool, file: impl FnOnce() -> File) -> Of {
    const MEMORY: [&[u8]; 5] = [
        b"/dev/shm/",
        b"/dev/zero",
        b"/memfd:",
        b"/SYSV",
        b"[anon_shmem:",
    ];
    match name {
        b"[heap]" => Of::Brk,
        b"[stack]" => Of::Stack,
        _ if MEMORY.iter().any(|start| name.starts_with(start)) => Of::Memory,
        [b'/', ..] => Of::File(file()),
        _ if is_shared => Of::Memory,
        _ if name.is_empty() || name.starts_with(b"[anon:") => Of::Anonymous,
        _ => Of::Kernel,
    }
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&byte| byte == b' ')
        .filter(|word| !word.is_empty())
}

fn number(digits: &[u8], radix: u32) -> Option<u64> {
    u64::from_str_radix(core::str::from_utf8(digits).ok()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Mapping> {
        let mut reader = SmapsReader::default();
        let mut all: Vec<Mapping> = text
            .lines()
            .filter_map(|line| reader.line(line.as_bytes()))
            .collect();
        all.extend(reader.end());
        all
    }

    #[test]
    fn mappings_say_what_they_are_of_and_what_is_resident() {
        let text = "\
55d0c0000000-55d0c0021000 r-xp 00002000 08:1f 1311 /usr/bin/a program
Size:                132 kB
Rss:                  12 kB
Anonymous:             8 kB
Swap:                  4 kB
SwapPss:               4 kB
VmFlags: rd ex mr mw me
7f2100000000-7f2100400000 rw-p 00000000 00:00 0 
Rss:                4096 kB
AnonHugePages:      2048 kB
7f2100400000-7f2100500000 rw-p 00000000 00:00 0                          [heap]
Rss:                   8 kB
";
        let file = File {
            device: 0x8 << 32 | 0x1f,
            inode: 1311,
        };
        let expected = [
            Mapping {
                start: 0x55d0_c000_0000,
                end: 0x55d0_c002_1000,
                is_readable: true,
                is_executable: true,
                of: Of::File(file),
                resident: 12 << 10,
                swap: 4 << 10,
                huge: 0,
            },
            Mapping {
                start: 0x7f21_0000_0000,
                end: 0x7f21_0040_0000,
                is_readable: true,
                resident: 4 << 20,
                huge: 2 << 20,
                ..Mapping::default()
            },
            Mapping {
                start: 0x7f21_0040_0000,
                end: 0x7f21_0050_0000,
                is_readable: true,
                of: Of::Brk,
                resident: 8 << 10,
                ..Mapping::default()
            },
        ];
        assert_eq!(read(text), expected);
    }

    #[test]
    fn a_name_says_whose_memory_it_is() {
        let name = |rest: &str| read(&format!("1000-2000 {rest}"))[0].of;
        assert_eq!(name("rw-p 0 00:00 0 [stack]"), Of::Stack);
        assert_eq!(name("r-xp 0 00:00 0 [vdso]"), Of::Kernel);
        assert_eq!(name("rw-p 0 00:00 0 [anon:arena]"), Of::Anonymous);
        assert_eq!(name("rw-s 0 00:01 7 /memfd:jit (deleted)"), Of::Memory);
        assert_eq!(name("rw-s 0 00:01 7 /dev/shm/ring"), Of::Memory);
        assert_eq!(name("rw-s 0 00:01 7 /dev/zero (deleted)"), Of::Memory);
        assert!(matches!(name("rw-s 0 08:01 7 /var/lib/db"), Of::File(_)));
        assert_eq!(name("rw-s 0 00:0e 7 anon_inode:[io_uring]"), Of::Memory);
    }

    #[test]
    fn lines_that_are_no_mappings_are_none() {
        assert_eq!(read("\n0\n1-\n1-2 r\nzz-1 rw-p 0 0:0 0\nRss: 4 kB\n"), []);
        let huge = "1-2 rw-p 0 0:0 0\nRss: 18446744073709551615 kB\nRss: x kB\n";
        assert_eq!(read(huge)[0].resident, u64::MAX);
    }
}
