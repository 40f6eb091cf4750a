//! A folder for programs that know nothing of memprof, and for what is recorded of them.

#![allow(dead_code, reason = "each test uses a part")]

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

/// A folder with programs, and a cache for the library.
pub struct Place {
    pub folder: TempDir,
}

impl Place {
    pub fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("cache")).unwrap();
        Place { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The profiles in it, in the order of their names.
    pub fn profiles(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.folder.path()).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        let mut paths: Vec<_> = paths
            .filter(|path| path.extension() == Some("memprof".as_ref()))
            .collect();
        paths.sort();
        paths
    }
}
