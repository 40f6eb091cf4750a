//! What a run leaves on disk: profiles whose unused pages are given back, and of many only those
//! that were asked for.
//!
//! A file is removed only if it is the one that the recorder wrote, and its process has ended.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};

use super::Recorded;

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
    /// Removes the profile, if that is safe. `false` if it is still there.
    pub fn remove(&mut self, profile: &Recorded) -> bool {
        let bytes = on_disk(&profile.path);
        let may_go = profile.is_original && profile.has_ended;
        if !may_go || fs::remove_file(&profile.path).is_err() {
            return false;
        }
        self.profiles += 1;
        self.bytes += bytes;
        self.most = self.most.max(profile.own_peak());
        true
    }
}

/// Removes those of `profiles`, most memory first, that are not wanted, and gives those that are
/// left.
pub fn keep_wanted(profiles: Vec<Recorded>, wanted: Wanted) -> (Vec<Recorded>, Removed) {
    let mut removed = Removed::default();
    let mut kept = Vec::new();
    for profile in profiles {
        let is_wanted = profile.own_peak() >= wanted.min_peak
            && wanted.keep.is_none_or(|most| kept.len() < most);
        if is_wanted || !removed.remove(&profile) {
            kept.push(profile);
        }
    }
    (kept, removed)
}

/// Bytes that the file at `path` takes on disk.
pub fn on_disk(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.blocks() * 512)
}

/// Gives back the pages of the profiles of ended programs that were reserved and never written,
/// some half of a small profile. They are read as zeros, as before. Where the file system cannot do
/// that, all stays as it is.
pub fn give_back(profiles: &[Recorded]) {
    for profile in profiles.iter().filter(|profile| profile.has_ended) {
        let _ = give_back_pages(&profile.path);
    }
}

fn give_back_pages(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let modified = file.metadata()?.modified()?;
    let holes = holes(&mut &file)?;
    for (at, len) in &holes {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&file, flags, *at, *len)?;
    }
    // Profiles are put in order by when their programs wrote them last.
    if !holes.is_empty() {
        file.set_modified(modified)?;
    }
    Ok(())
}

/// Where whole pages of zeros are, and how many bytes, next to each other.
fn holes(file: &mut &File) -> io::Result<Vec<(u64, u64)>> {
    let mut holes: Vec<(u64, u64)> = Vec::new();
    let mut buffer = Vec::with_capacity(AT_ONCE);
    let mut at = 0;
    loop {
        buffer.clear();
        let read = file
            .by_ref()
            .take(AT_ONCE as u64)
            .read_to_end(&mut buffer)?;
        for page in buffer.chunks_exact(PAGE) {
            if page.iter().all(|&byte| byte == 0) {
                match holes.last_mut() {
                    Some((start, len)) if *start + *len == at => *len += PAGE as u64,
                    _ => holes.push((at, PAGE as u64)),
                }
            }
            at += PAGE as u64;
        }
        if read < AT_ONCE {
            return Ok(holes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::builder::Builder;
    use crate::profile::read;

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
        let before = (fs::read(&profile.path).unwrap(), on_disk(&profile.path));
        let modified = fs::metadata(&profile.path).unwrap().modified().unwrap();
        give_back(std::slice::from_ref(&profile));
        assert_eq!(fs::read(&profile.path).unwrap(), before.0);
        assert!(on_disk(&profile.path) <= before.1 / 2);
        let metadata = fs::metadata(&profile.path).unwrap();
        assert_eq!(metadata.modified().unwrap(), modified);
        assert_eq!(read(&profile.path).unwrap().0.peak(), 70);
        let running = Recorded {
            has_ended: false,
            ..recorded(folder.path(), 2, 70)
        };
        let whole = on_disk(&running.path);
        give_back(std::slice::from_ref(&running));
        assert_eq!(on_disk(&running.path), whole);
    }
}
