//! What a process has mapped, as `/proc/PID/maps` says.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::system;

/// A mapping of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// Its addresses.
    pub start: u64,
    /// The first address after it.
    pub end: u64,
    /// Whether the process may write it.
    pub is_writable: bool,
    /// Whether what is written goes to the file.
    pub is_shared: bool,
    /// Where in the file it begins.
    pub offset: u64,
    /// Device and number of the file.
    pub file: (String, u64),
    /// Its path, from the root of the process.
    pub path: PathBuf,
}

/// The files that process `pid` has mapped, in the order of their addresses.
pub fn of(pid: u32) -> io::Result<Vec<Mapping>> {
    let text = fs::read(format!("/proc/{pid}/maps"))?;
    Ok(text
        .split(|&byte| byte == b'\n')
        .filter_map(parse)
        .collect())
}

/// The path of a file of process `pid`, whatever that process takes for its root.
pub fn seen_from_here(pid: u32, path: &Path) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    // Ours, most of the time: its paths are better to read.
    let is_ours = fs::read_link(&root).is_ok_and(|root| root == Path::new("/"))
        && fs::read_link(format!("/proc/{pid}/ns/mnt")).ok()
            == fs::read_link("/proc/self/ns/mnt").ok();
    match path.strip_prefix("/") {
        Ok(relative) if !is_ours => root.join(relative),
        _ => path.to_owned(),
    }
}

/// `start-end perms offset device inode path`; `None` of memory without a file.
fn parse(line: &[u8]) -> Option<Mapping> {
    let mut rest = line;
    let mut field = || {
        let len = rest.iter().position(|&byte| byte == b' ')?;
        let (field, after) = rest.split_at(len);
        rest = after.trim_ascii_start();
        std::str::from_utf8(field).ok()
    };
    let (start, end) = field()?.split_once('-')?;
    let permissions = field()?.as_bytes();
    let offset = field()?;
    let device = field()?;
    let inode = field()?;
    let hex = |digits| u64::from_str_radix(digits, 16).ok();
    let path = rest;
    path.starts_with(b"/").then_some(())?;
    Some(Mapping {
        start: hex(start)?,
        end: hex(end)?,
        is_writable: permissions.get(1) == Some(&b'w'),
        is_shared: permissions.get(3) == Some(&b's'),
        offset: hex(offset)?,
        file: (device.to_owned(), inode.parse().ok()?),
        path: system::path(path),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_mappings_of_files_alone() {
        let line =
            b"7f00a000-7f00b000 rw-s 00002000 fd:01 4711                       /tmp/a b.memprof";
        assert_eq!(
            parse(line),
            Some(Mapping {
                start: 0x7f00_a000,
                end: 0x7f00_b000,
                is_writable: true,
                is_shared: true,
                offset: 0x2000,
                file: ("fd:01".to_owned(), 4711),
                path: "/tmp/a b.memprof".into(),
            })
        );
        assert_eq!(
            parse(b"7f0000002000-7f0000003000 rw-p 00000000 00:00 0 "),
            None
        );
        assert_eq!(
            parse(b"7ffe1000-7ffe2000 r-xp 00000000 00:00 0    [vdso]"),
            None
        );
        assert_eq!(parse(b""), None);
        assert!(of(std::process::id()).unwrap().len() > 3);
    }
}
