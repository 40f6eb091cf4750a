//! What a run leaves on disk: profiles whose unused pages are given back, and of many only those
//! that were asked for.
//!
//! A file is removed only if it is the one that the recorder wrote, and its process has ended.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;

use profiler_alloc_format::Header;

use super::Recorded;
use crate::system::{read_exact_at, write_all_at};

/// The pages that are looked at, in bytes.
const PAGE: usize = 4096;
/// Bytes that are read at once.
const AT_ONCE: usize = 64 * PAGE;

/// Which profiles of a run are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// So many, those with most memory.
    pub keep: Option<usize>,
    /// Those with this peak at least, in bytes.
    pub min_peak: u64,
}

/// Profiles that were removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Removed {
    /// How many.
    pub profiles: usize,
    /// What they took on disk, in bytes.
    pub bytes: u64,
    /// The highest peak of any of them, in bytes.
    pub most: u64,
}

impl Removed {
    /// Removes those of `profiles` that it is safe to remove. Gives those that are still there.
    pub fn remove(&mut self, profiles: Vec<Recorded>) -> Vec<Recorded> {
        let removed = each(&profiles, |profile| {
            let bytes = on_disk(&profile.path);
            let may_go = profile.is_original && profile.has_ended;
            (may_go && fs::remove_file(&profile.path).is_ok()).then_some(bytes)
        });
        let mut left = Vec::new();
        for (profile, bytes) in profiles.into_iter().zip(removed) {
            match bytes {
                Some(bytes) => {
                    self.profiles += 1;
                    self.bytes += bytes;
                    self.most = self.most.max(profile.own_peak());
                }
                None => left.push(profile),
            }
        }
        left
    }
}

/// Removes those of `profiles`, most memory first, that are not wanted, and gives those that are
/// left.
pub fn keep_wanted(profiles: Vec<Recorded>, wanted: Wanted) -> (Vec<Recorded>, Removed) {
    let mut removed = Removed::default();
    let is_large = |profile: &Recorded| profile.own_peak() >= wanted.min_peak;
    let (mut kept, mut others): (Vec<_>, Vec<_>) = profiles.into_iter().partition(is_large);
    if let Some(most) = wanted.keep {
        others.extend(kept.split_off(most.min(kept.len())));
    }
    kept.extend(removed.remove(others));
    (kept, removed)
}

/// What `work` gives for each of `items`. A file system may take 20 ms to let go of a file, and
/// does so for several at once.
pub(super) fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    const THREADS: usize = 8;
    let part = items.len().div_ceil(THREADS).max(1);
    thread::scope(|scope| {
        let work = &work;
        let parts = items.chunks(part);
        let threads: Vec<_> = parts
            .map(|part| scope.spawn(move || part.iter().map(work).collect::<Vec<R>>()))
            .collect();
        let done = threads.into_iter().flat_map(|thread| thread.join());
        done.flatten().collect()
    })
}

/// Bytes that the file at `path` takes on disk.
pub fn on_disk(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.blocks() * 512)
}

/// Puts in place of each profile of an ended program one without the pages that were reserved and
/// never written, most of a small profile: they are read as zeros, as before. Where that fails, the
/// profile stays as it is. So it does where the program did not end in order: one that has another
/// number here, as in a container, may still write.
///
/// Holes could be punched into the file itself, but then the system writes all of it to the disk
/// first: 346 profiles of tests took 5 s, and 0.3 s so.
pub fn give_back(profiles: &[Recorded]) {
    each(profiles, |profile| {
        if profile.has_ended && !profile.is_unfinished && profile.is_original {
            let _ = without_holes(&profile.path);
        }
    });
}

fn without_holes(path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // Of the same permissions: only the user's.
    let mut draft = builder.prefix(".memprof-").tempfile_in(folder)?;
    draft.as_file().set_permissions(metadata.permissions())?;
    let mut buffer = Vec::with_capacity(AT_ONCE);
    let mut at = 0;
    loop {
        buffer.clear();
        let read = (&mut file).take(AT_ONCE as u64).read_to_end(&mut buffer)?;
        for page in buffer.chunks(PAGE) {
            if page.iter().any(|&byte| byte != 0) {
                write_all_at(draft.as_file(), page, at)?;
            }
            at += page.len() as u64;
        }
        if read < AT_ONCE {
            break;
        }
    }
    draft.as_file().set_len(at)?;
    // A file that does not know its own number is taken for a copy.
    let mut bytes = [0; Header::LEN];
    read_exact_at(draft.as_file(), &mut bytes, 0)?;
    let mut header = Header::from_bytes(&bytes);
    header.inode = draft.as_file().metadata()?.ino();
    write_all_at(draft.as_file(), &header.to_bytes(), 0)?;
    // Profiles are put in order by when their programs wrote them last.
    draft.as_file_mut().set_modified(metadata.modified()?)?;
    draft.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::builder::Builder;
    use crate::profile::{is_original, read};

    fn recorded(folder: &Path, pid: u32, peak: u64) -> Recorded {
        let path = folder.join(format!("app.{pid}.memprof"));
        let mut builder = Builder::new();
        builder.header.peak = peak;
        fs::write(&path, builder.to_bytes()).unwrap();
        Recorded {
            path,
            peak,
            ..Recorded::of_nothing(pid, 1)
        }
    }

    #[test]
    fn those_with_most_memory_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let profiles = |peaks: &[u64]| -> Vec<Recorded> {
            (peaks.iter().zip(1..))
                .map(|(&peak, pid)| recorded(folder.path(), pid, peak))
                .collect()
        };
        let peaks =
            |kept: &[Recorded]| -> Vec<u64> { kept.iter().map(|profile| profile.peak).collect() };
        let wanted = Wanted {
            keep: Some(2),
            min_peak: 10,
        };
        let (kept, removed) = keep_wanted(profiles(&[90, 50, 40, 5]), wanted);
        assert_eq!(peaks(&kept), [90, 50]);
        assert_eq!((removed.profiles, removed.most), (2, 40));
        assert!(removed.bytes > 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);

        let all = Wanted::default();
        assert_eq!(keep_wanted(profiles(&[90, 0]), all).0.len(), 2);
        let none = Wanted {
            min_peak: 100,
            ..all
        };
        let mut some = profiles(&[90, 50, 40]);
        some[0].has_ended = false;
        some[1].is_original = false;
        let (kept, removed) = keep_wanted(some, none);
        assert_eq!(peaks(&kept), [90, 50], "a copy, and what still runs");
        assert_eq!(removed.profiles, 1);
    }

    #[test]
    fn pages_that_were_never_written_are_given_back_and_nothing_changes() {
        let folder = tempfile::tempdir().unwrap();
        let profile = recorded(folder.path(), 1, 70);
        let whole = on_disk(&profile.path);
        let before = (
            read(&profile.path).unwrap(),
            fs::metadata(&profile.path).unwrap(),
        );
        give_back(std::slice::from_ref(&profile));
        let after = (
            read(&profile.path).unwrap(),
            fs::metadata(&profile.path).unwrap(),
        );
        assert!(on_disk(&profile.path) <= whole / 2);
        assert_eq!(after.1.len(), before.1.len());
        assert_eq!(after.1.modified().unwrap(), before.1.modified().unwrap());
        assert_eq!(after.1.permissions(), before.1.permissions());
        let (mut profile_after, defects) = after.0;
        assert!(is_original(&profile.path, &profile_after.header));
        profile_after.header.inode = before.0.0.header.inode;
        assert_eq!(profile_after.header, before.0.0.header);
        assert_eq!((profile_after.peak(), defects), (70, vec![]));
        let running = Recorded {
            has_ended: false,
            ..recorded(folder.path(), 2, 70)
        };
        let whole = on_disk(&running.path);
        give_back(std::slice::from_ref(&running));
        assert_eq!(on_disk(&running.path), whole);
    }
}
