//! The totals of one profile, from its header and its threads: the little that the end of a run tells.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use profiler_alloc_format::{
    CHUNK_LEN, DIRECTORY_AT, HEADER_LEN, Header, MAGIC, MAX_CHUNKS, STATE_FINISHED, Table, Thread,
    VERSION,
};

/// What one program of a run recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recorded {
    /// The profile.
    pub path: PathBuf,
    /// Number of the run it belongs to.
    pub run_id: u64,
    /// Highest heap in use, in bytes.
    pub peak: u64,
    /// Allocations, reallocations among them.
    pub allocations: u64,
    /// Distinct stacks.
    pub stacks: u64,
    /// Each kind of loss that happened: how often, and what it means.
    pub losses: Vec<(u64, &'static str)>,
}

/// Reads the totals of the profile at `path`; `None` if that is not a profile of this version.
pub fn recorded(path: &Path) -> Option<Recorded> {
    let file = File::open(path).ok()?;
    let header = Header::from_bytes(&read_at(&file, 0).ok()?);
    if header.magic != MAGIC || header.version != VERSION {
        return None;
    }
    Some(Recorded {
        path: path.to_owned(),
        run_id: header.run_id,
        peak: (header.peak as i64).max(0) as u64,
        allocations: allocations(&file, &header),
        // Record 0 is "other".
        stacks: header.stack_count.saturating_sub(1),
        losses: losses(&header),
    })
}

fn allocations(file: &File, header: &Header) -> u64 {
    if header.state == STATE_FINISHED {
        return header.final_allocs.wrapping_add(header.final_reallocs);
    }
    // Of a program that was killed, what can be read counts.
    let threads = threads(file, header).unwrap_or_default();
    threads.iter().fold(0, |sum: u64, thread| {
        sum.wrapping_add(thread.allocs)
            .wrapping_add(thread.reallocs)
    })
}

fn threads(file: &File, header: &Header) -> io::Result<Vec<Thread>> {
    let directory: [u8; MAX_CHUNKS] = read_at(file, DIRECTORY_AT)?;
    let chunks = directory.len().min(header.chunk_count as usize);
    let mut table = Vec::new();
    for (i, &byte) in directory[..chunks].iter().enumerate() {
        if Table::from_byte(byte) == Some(Table::Threads) {
            let chunk: [u8; CHUNK_LEN] = read_at(file, HEADER_LEN + i * CHUNK_LEN)?;
            table.extend_from_slice(&chunk);
        }
    }
    let (records, _) = table.as_chunks();
    let count = records.len().min(header.thread_count as usize);
    Ok(records[..count].iter().map(Thread::from_bytes).collect())
}

fn read_at<const N: usize>(file: &File, offset: usize) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact_at(&mut bytes, offset as u64)?;
    Ok(bytes)
}

fn losses(header: &Header) -> Vec<(u64, &'static str)> {
    let kinds = [
        (header.lost_stacks, "samples without a stack of their own"),
        (header.lost_outer_frames, "stacks cut at the outer end"),
        (header.lost_middle_frames, "stacks too deep to keep whole"),
        (header.lost_reentrant, "calls from within the recorder"),
        (
            header.lost_blocks,
            "blocks whose free is charged to no line",
        ),
        (header.lost_modules, "frames of no known module"),
        (header.lost_threads, "threads without counters of their own"),
        (header.lost_growth, "failures to grow the file"),
        (header.forks, "forked children not recorded"),
    ];
    kinds.into_iter().filter(|&(times, _)| times > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(header: &Header, rest: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().write_all_at(&header.to_bytes(), 0).unwrap();
        file.as_file()
            .write_all_at(rest, DIRECTORY_AT as u64)
            .unwrap();
        file
    }

    fn header() -> Header {
        Header {
            magic: MAGIC,
            version: VERSION,
            run_id: 7,
            peak: 1000,
            stack_count: 4,
            ..Header::empty()
        }
    }

    #[test]
    fn a_finished_profile_tells_its_totals() {
        let header = Header {
            state: STATE_FINISHED,
            final_allocs: 10,
            final_reallocs: 2,
            lost_blocks: 3,
            ..header()
        };
        let file = written(&header, &[]);
        let recorded = recorded(file.path()).unwrap();
        assert_eq!((recorded.run_id, recorded.peak), (7, 1000));
        assert_eq!((recorded.allocations, recorded.stacks), (12, 3));
        assert_eq!(recorded.losses.len(), 1);
    }

    #[test]
    fn of_a_killed_program_the_threads_are_summed() {
        let header = Header {
            chunk_count: 3,
            thread_count: 258,
            ..header()
        };
        let thread = Thread {
            allocs: 2,
            reallocs: 1,
            ..Thread::empty()
        };
        // Two chunks of threads with one of nodes between; the second is in use in part.
        let mut rest = vec![0; MAX_CHUNKS + 3 * CHUNK_LEN];
        rest[..3].copy_from_slice(&[
            Table::Threads as u8,
            Table::Nodes as u8,
            Table::Threads as u8,
        ]);
        for place in rest[MAX_CHUNKS..].chunks_mut(Thread::LEN) {
            place.copy_from_slice(&thread.to_bytes());
        }
        let file = written(&header, &rest);
        assert_eq!(recorded(file.path()).unwrap().allocations, 258 * 3);
    }

    #[test]
    fn counts_beyond_the_file_are_survived() {
        let header = Header {
            chunk_count: u64::MAX,
            thread_count: u64::MAX,
            ..header()
        };
        let file = written(&header, &[Table::Threads as u8; MAX_CHUNKS]);
        assert_eq!(recorded(file.path()).unwrap().allocations, 0);
    }

    #[test]
    fn other_files_are_no_profiles() {
        for header in [
            Header::empty(),
            Header {
                version: VERSION + 1,
                ..header()
            },
        ] {
            assert_eq!(recorded(written(&header, &[]).path()), None);
        }
        assert_eq!(recorded(Path::new("/no/such/file")), None);
    }
}
