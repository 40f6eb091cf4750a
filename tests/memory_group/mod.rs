//! Limits on memory, for processes that are to break them.

use std::fs;
use std::path::PathBuf;

/// A memory group of the kernel's; gone when dropped, if nobody is in it.
pub struct MemoryGroup(PathBuf);

impl MemoryGroup {
    /// A group that may have so many bytes. `None` if this user cannot make one.
    pub fn new(name: &str, bytes: u64) -> Option<MemoryGroup> {
        let root = PathBuf::from("/sys/fs/cgroup");
        let (folder, limits): (_, &[&str]) = match root.join("memory").is_dir() {
            true => (root.join("memory"), &["memory.limit_in_bytes"]),
            false => (root, &["memory.max", "memory.swap.max"]),
        };
        let folder = folder.join(name);
        fs::create_dir(&folder).ok()?;
        let group = MemoryGroup(folder);
        fs::write(group.0.join(limits[0]), bytes.to_string()).ok()?;
        if let Some(swap) = limits.get(1) {
            fs::write(group.0.join(swap), "0").ok()?;
        }
        Some(group)
    }

    /// The file that a process joins by writing its number to.
    pub fn members(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
