//! Whether the kernel's OOM killer was at work while a program ran.
//!
//! The kernel counts in each control group the processes of it that it killed; the program is in
//! memprof's own group, unless it leaves that.
//!
//! ```text
//! version 2   memory.events       oom_kill 3     memory.max              2147483648, or `max`
//! version 1   memory.oom_control  oom_kill 3     memory.limit_in_bytes   2147483648, or above 2^62
//! ```
//! In a container, the path that the kernel tells may be one of the host's; then the group is what
//! is mounted at the root. Where there are no groups at all, `/proc/vmstat` counts for the machine.

use std::fs;
use std::path::{Path, PathBuf};

/// Where control groups are mounted.
const GROUPS: &str = "/sys/fs/cgroup";
/// What version 1 says where nothing is limited is a little below this.
const UNLIMITED: u64 = 1 << 62;

/// The processes that the OOM killer has killed so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OomKiller {
    /// The file that counts them.
    counts: PathBuf,
    before: u64,
    limit: Option<u64>,
}

/// What it did since.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OomKills {
    /// Processes killed.
    pub count: u64,
    /// Bytes of memory that the group may have. `None` if that is not limited.
    pub limit: Option<u64>,
}

impl OomKiller {
    /// Looks at this process's control group now. `None` if the system does not tell.
    pub fn watch() -> Option<OomKiller> {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        OomKiller::of(&groups, Path::new(GROUPS), Path::new("/proc/vmstat"))
    }

    /// Of a process in `groups`, the text of its `/proc/PID/cgroup`, which are mounted at `root`.
    fn of(groups: &str, root: &Path, machine: &Path) -> Option<OomKiller> {
        let folders = folders(groups, root);
        let counted = folders.iter().find_map(|folder| {
            let files = ["memory.events", "memory.oom_control"];
            let files = files.map(|file| folder.join(file));
            files.into_iter().find(|file| kills(file).is_some())
        });
        let counts = counted.unwrap_or_else(|| machine.to_owned());
        Some(OomKiller {
            before: kills(&counts)?,
            // That of a group around this one may be lower.
            limit: folders.iter().filter_map(|folder| limit(folder)).min(),
            counts,
        })
    }

    /// What it did since then. `None` if it did nothing.
    pub fn kills(&self) -> Option<OomKills> {
        let count = kills(&self.counts)?.saturating_sub(self.before);
        (count > 0).then_some(OomKills {
            count,
            limit: self.limit,
        })
    }
}

/// The folders of the memory group and of those around it, innermost first; where both versions are
/// mounted, of both, of which one counts memory.
fn folders(groups: &str, root: &Path) -> Vec<PathBuf> {
    let of_line = |line: &str| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let mount = match controllers {
            "" => root.to_owned(),
            _ if controllers.split(',').any(|one| one == "memory") => root.join("memory"),
            _ => return None,
        };
        Some((mount, path.trim_start_matches('/').to_owned()))
    };
    let groups = groups.lines().filter_map(of_line);
    groups
        .flat_map(|(mount, path)| {
            let innermost = mount.join(path);
            let folders = innermost.ancestors().map(Path::to_owned);
            let within = folders.take_while(|at| at.starts_with(&mount));
            within.collect::<Vec<_>>()
        })
        .filter(|folder| folder.is_dir())
        .collect()
}

/// The figure behind the word `oom_kill`.
fn kills(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    value?.trim().parse().ok()
}

/// Bytes that a group may have.
fn limit(folder: &Path) -> Option<u64> {
    let read = |file| fs::read_to_string(folder.join(file)).ok();
    let text = read("memory.max").or_else(|| read("memory.limit_in_bytes"))?;
    let limit: u64 = text.trim().parse().ok()?;
    (limit < UNLIMITED).then_some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let file = root.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn a_group_of_version_2_counts_its_own_and_has_the_lowest_limit_around_it() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, "pod/memory.max", "1073741824\n");
        let events = "pod/app/memory.events";
        write(root, events, "low 0\noom 5\noom_kill 2\noom_group_kill 9\n");
        write(root, "pod/app/memory.max", "max\n");
        let killer = OomKiller::of("0::/pod/app\n", root, Path::new("/none")).unwrap();
        assert_eq!(killer.kills(), None);
        write(root, events, "low 0\noom 6\noom_kill 3\n");
        let expected = OomKills {
            count: 1,
            limit: Some(1 << 30),
        };
        assert_eq!(killer.kills(), Some(expected));
    }

    #[test]
    fn a_group_of_version_1_stands_beside_those_of_other_kinds() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let file = "memory/a/memory.oom_control";
        write(root, file, "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
        write(
            root,
            "memory/a/memory.limit_in_bytes",
            "9223372036854771712\n",
        );
        fs::create_dir_all(root.join("cpu/a")).unwrap();
        let groups = "9:name=systemd:/\n8:cpu:/a\n4:memory:/a\n0::/\n";
        let killer = OomKiller::of(groups, root, Path::new("/none")).unwrap();
        write(root, file, "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n");
        let expected = OomKills {
            count: 4,
            limit: None,
        };
        assert_eq!(killer.kills(), Some(expected));
    }

    #[test]
    fn a_path_of_the_host_leads_to_what_is_mounted_and_no_group_to_the_machine() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, "memory.events", "oom_kill 1\n");
        write(root, "memory.max", "4096\n");
        let groups = "0::/kubepods/pod1/c2\n";
        let killer = OomKiller::of(groups, root, Path::new("/none")).unwrap();
        assert_eq!((killer.before, killer.limit), (1, Some(4096)));
        write(root, "vmstat", "nr_free_pages 7\noom_kill 12\n");
        fs::remove_file(root.join("memory.events")).unwrap();
        let killer = OomKiller::of(groups, root, &root.join("vmstat")).unwrap();
        assert_eq!(killer.before, 12);
        assert_eq!(OomKiller::of("", root, Path::new("/none")), None);
    }
}
