//! What a program's source files held when its recording ended: read from a profile, and added to
//! one.
//!
//! No Rust program says what its sources were, as rustc leaves their MD5 out of line tables. With
//! this, an edit of any kind after the recording is seen, and what has only a new date is not taken
//! for an edit. The layout is in `profiler_alloc_format`, under *Sources*.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use profiler_alloc_format::{
    CHUNK_LEN, DIRECTORY_AT, HEADER_LEN, MAX_CHUNKS, SOURCE_NEWER, SOURCE_UNCHANGED, Table,
};

use super::amend::amend;
use crate::system::{file_size_limit, write_all_at};

/// Most text of this kind that is written and read, in bytes: some 10,000 files.
pub(super) const MOST_BYTES: u64 = 1 << 20;

/// What a source file held when the recording ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SourceState {
    /// MD5 of the whole file.
    pub md5: [u8; 16],
    /// Whether it was written after the program: then it may have been another file already.
    pub was_newer: bool,
}

/// The files of the table's `bytes`. Lines that say nothing are passed over.
pub(super) fn parse(bytes: &[u8]) -> HashMap<String, SourceState> {
    let text = String::from_utf8_lossy(bytes);
    text.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<(String, SourceState)> {
    let (digits, rest) = line.split_at_checked(32)?;
    let (mark, path) = rest.split_once(' ')?;
    let was_newer = match mark.as_bytes() {
        [SOURCE_UNCHANGED] => false,
        [SOURCE_NEWER] => true,
        _ => return None,
    };
    let md5 = u128::from_str_radix(digits, 16).ok()?.to_be_bytes();
    (!path.is_empty()).then(|| (path.to_owned(), SourceState { md5, was_newer }))
}

/// The table's text: no more of it than is read.
pub(super) fn text<'a>(files: impl IntoIterator<Item = (&'a String, &'a SourceState)>) -> String {
    let mut text = String::new();
    for (path, state) in files {
        let mark = match state.was_newer {
            true => SOURCE_NEWER,
            false => SOURCE_UNCHANGED,
        };
        let digits = u128::from_be_bytes(state.md5);
        let line = format!("{digits:032x}{} {path}\n", mark as char);
        let fits = (text.len() + line.len()) as u64 <= MOST_BYTES;
        if fits && !path.is_empty() && !path.contains(['\n', '\r']) {
            text.push_str(&line);
        }
    }
    text
}

/// Adds to the profile at `path` what `files` hold. It must not be written to by anyone else: the
/// program has ended. `false` if it has such a table already, or no room for one.
pub fn add_sources<'a>(
    path: &Path,
    files: impl IntoIterator<Item = (&'a String, &'a SourceState)>,
) -> io::Result<bool> {
    let text = text(files);
    amend(path, |file, header| {
        let chunks = text.len().div_ceil(CHUNK_LEN);
        let first = usize::try_from(header.chunk_count).unwrap_or(MAX_CHUNKS);
        if header.source_bytes != 0 || text.is_empty() || first + chunks > MAX_CHUNKS {
            return Ok(false);
        }
        // What counts the chunks comes last, so that a profile cut off here is as it was.
        let at = (HEADER_LEN + first * CHUNK_LEN) as u64;
        let end = at + (chunks * CHUNK_LEN) as u64;
        // Writing beyond the limit would be met as a signal that ends this process.
        if file_size_limit().is_some_and(|limit| end > limit) {
            return Ok(false);
        }
        let room = vec![0; end as usize - at as usize - text.len()];
        write_all_at(file, text.as_bytes(), at)?;
        write_all_at(file, &room, at + text.len() as u64)?;
        let names = vec![Table::Sources as u8; chunks];
        write_all_at(file, &names, (DIRECTORY_AT + first) as u64)?;
        header.source_bytes = text.len() as u64;
        header.chunk_count = (first + chunks) as u64;
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::profile::{builder::Builder, read};

    fn state(byte: u8, was_newer: bool) -> SourceState {
        let md5 = [byte; 16];
        SourceState { md5, was_newer }
    }

    #[test]
    fn what_is_added_is_read_and_nothing_else_changes() {
        let files = HashMap::from([
            ("/home/me/app/src/main.rs".to_owned(), state(0xab, false)),
            ("/home/me/an app/src/lib.rs".to_owned(), state(1, true)),
        ]);
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut builder = Builder::new();
        let app = builder.module("/bin/app");
        let stack = builder.stack(&[profiler_alloc_format::Frame::new(app, 16)]);
        builder.allocated(stack, 4096, 1);
        fs::write(file.path(), builder.to_bytes()).unwrap();
        let modified = fs::metadata(file.path()).unwrap().modified().unwrap();
        let (before, _) = read(file.path()).unwrap();
        assert_eq!(before.sources, HashMap::new());

        assert!(add_sources(file.path(), &files).unwrap());
        let (after, defects) = read(file.path()).unwrap();
        assert_eq!((&after.sources, defects), (&files, vec![]));
        assert_eq!(after.stacks, before.stacks);
        assert_eq!(after.modules, before.modules);
        let times = fs::metadata(file.path()).unwrap().modified().unwrap();
        assert_eq!(times, modified);
        assert!(!add_sources(file.path(), &files).unwrap(), "it is there");
    }

    #[test]
    fn no_more_is_written_than_is_read() {
        let many: HashMap<String, SourceState> = (0..30_000)
            .map(|number| (format!("/home/me/app/src/{number}.rs"), state(2, false)))
            .collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), Builder::new().to_bytes()).unwrap();
        assert!(add_sources(file.path(), &many).unwrap());
        let (profile, defects) = read(file.path()).unwrap();
        assert_eq!(defects, []);
        assert!((10_000..30_000).contains(&profile.sources.len()));
        assert!(
            profile
                .sources
                .iter()
                .all(|(path, _)| many.contains_key(path))
        );
    }

    #[test]
    fn lines_that_say_nothing_are_passed_over() {
        let good = format!("{:032x}= /a.rs\n", 7);
        for damaged in [
            "",
            "\n\n",
            "zz",
            "0123456789abcdef0123456789abcdef",
            "0123456789abcdef0123456789abcdef= ",
            "0123456789abcdef0123456789abcdef! /b.rs",
            "0123456789abcdef0123456789abcdeg= /b.rs",
            "é0123456789abcdef0123456789abcd= /b.rs",
        ] {
            let sources = parse(format!("{damaged}\n{good}").as_bytes());
            assert_eq!(sources.len(), 1, "{damaged}");
            assert!(sources.contains_key("/a.rs"));
        }
    }

    #[test]
    fn other_files_are_left_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), [b'x'; 4096]).unwrap();
        let files = HashMap::from([("/a.rs".to_owned(), state(1, false))]);
        assert!(!add_sources(file.path(), &files).unwrap());
        assert_eq!(fs::read(file.path()).unwrap(), [b'x'; 4096]);
    }
}
