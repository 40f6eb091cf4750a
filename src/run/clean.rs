//! Removing the profiles of a folder: those that a recorder wrote there, and whose processes have
//! ended.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use profiler_alloc_format::{EXTENSION, Header};

use super::disk::{each, on_disk};
use super::recorded::{exists, header};
use crate::profile::is_original;

/// A profile that was written to more recently is left alone: its process may have another number
/// here, as that of a container has.
const AT_REST: Duration = Duration::from_secs(60);

/// What is in a folder, and may be removed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cleaning {
    /// Profiles that may go, and what each takes on disk, in bytes.
    pub may_go: Vec<(PathBuf, u64)>,
    /// Profiles whose process has not ended, or may not have.
    pub running: usize,
    /// Copies of profiles, and profiles that were merged: somebody made them on purpose.
    pub made: usize,
    /// Profiles of the last runs, which are kept.
    pub of_last_runs: usize,
    /// Files that are called like profiles and are none.
    pub others: usize,
}

impl Cleaning {
    /// Looks at the files `*.memprof` of `folder`; those of the `keep` last runs stay. A recording
    /// that no `memprof run` asked for is a run of its own.
    pub fn of(folder: &Path, keep: usize) -> io::Result<Cleaning> {
        let mut cleaning = Cleaning::default();
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if !is_file || path.extension().is_none_or(|end| end != EXTENSION) {
                continue;
            }
            match header(&path) {
                None => cleaning.others += 1,
                Some(header) if header.process_count > 0 || !is_original(&path, &header) => {
                    cleaning.made += 1;
                }
                Some(header) => found.push((path, header)),
            }
        }
        // By the latest start of each.
        let run = |header: &Header| match header.run_id {
            0 => (header.started_unix_ns, header.pid),
            run_id => (run_id, 0),
        };
        found.sort_by_key(|(_, header)| std::cmp::Reverse(header.started_unix_ns));
        let mut kept = BTreeSet::new();
        for (_, header) in &found {
            if kept.len() < keep {
                kept.insert(run(header));
            }
        }
        for (path, header) in found {
            if is_under_way(&header) {
                cleaning.running += 1;
            } else if kept.contains(&run(&header)) {
                cleaning.of_last_runs += 1;
            } else {
                let bytes = on_disk(&path);
                cleaning.may_go.push((path, bytes));
            }
        }
        cleaning.may_go.sort();
        Ok(cleaning)
    }

    /// Removes them. Gives how many were, and a file that could not be.
    pub fn remove(&self) -> (usize, Option<(PathBuf, io::Error)>) {
        let results = each(&self.may_go, |(path, _)| match fs::remove_file(path) {
            Ok(()) => Ok(true),
            // Somebody else was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err((path.clone(), error)),
        });
        let removed = results.iter().filter(|result| matches!(result, Ok(true)));
        (removed.count(), results.into_iter().find_map(Result::err))
    }

    /// Bytes on disk of those that may go.
    pub fn bytes(&self) -> u64 {
        self.may_go.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// Whether something may still be written.
fn is_under_way(header: &Header) -> bool {
    use profiler_alloc_format::{STATE_EXITED, STATE_FINISHED};
    if header.state == STATE_FINISHED {
        return false;
    }
    let written = header.started_unix_ns.saturating_add(header.updated_ns);
    let written = SystemTime::UNIX_EPOCH + Duration::from_nanos(written);
    // A clock that was set back tells nothing.
    let is_recent = written.elapsed().is_ok_and(|since| since < AT_REST);
    exists(header.pid) || (is_recent && header.state != STATE_EXITED && header.gone_ns == 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use profiler_alloc_format::STATE_RECORDING;

    use super::*;
    use crate::profile::builder::Builder;

    /// Writes a profile that knows its own inode.
    fn write(folder: &Path, name: &str, change: impl FnOnce(&mut Builder)) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, "").unwrap();
        let mut builder = Builder::new();
        builder.header.inode = fs::metadata(&path).unwrap().ino();
        change(&mut builder);
        fs::write(&path, builder.to_bytes()).unwrap();
        path
    }

    #[test]
    fn only_profiles_of_ended_processes_may_go() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let old = write(folder, "old.1.memprof", |builder| builder.header.run_id = 5);
        let killed = write(folder, "killed.2.memprof", |builder| {
            builder.header.state = STATE_RECORDING;
            builder.header.pid = 1 << 30;
        });
        write(folder, "runs.3.memprof", |builder| {
            builder.header.state = STATE_RECORDING;
            builder.header.pid = std::process::id();
        });
        write(folder, "elsewhere.4.memprof", |builder| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            builder.header.state = STATE_RECORDING;
            builder.header.pid = 1 << 30;
            builder.header.started_unix_ns = now.unwrap().as_nanos() as u64;
        });
        write(folder, "all.memprof", |builder| {
            builder
                .processes
                .push(profiler_alloc_format::Process::empty());
        });
        fs::copy(&old, folder.join("copy.memprof")).unwrap();
        fs::write(folder.join("notes.memprof"), "my notes").unwrap();
        fs::write(folder.join("old.txt"), fs::read(&old).unwrap()).unwrap();
        fs::create_dir(folder.join("folder.memprof")).unwrap();
        let cleaning = Cleaning::of(folder, 0).unwrap();
        let paths: Vec<_> = cleaning.may_go.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, [&killed, &old]);
        assert_eq!(
            (cleaning.running, cleaning.made, cleaning.others),
            (2, 2, 1)
        );
        assert!(cleaning.bytes() > 0);
        let (removed, failed) = cleaning.remove();
        assert!(removed == 2 && failed.is_none() && !old.exists() && !killed.exists());
        assert_eq!(cleaning.remove().0, 0, "they are gone");
    }

    #[test]
    fn the_last_runs_are_kept_whole() {
        let folder = tempfile::tempdir().unwrap();
        for (name, run_id, started) in [("a", 7, 10), ("b", 7, 11), ("c", 8, 20), ("d", 0, 30)] {
            write(folder.path(), &format!("{name}.memprof"), |builder| {
                builder.header.run_id = run_id;
                builder.header.started_unix_ns = started;
            });
        }
        let may_go = |keep| Cleaning::of(folder.path(), keep).unwrap().may_go.len();
        assert_eq!([0, 1, 2, 3].map(may_go), [4, 3, 2, 0]);
    }
}
