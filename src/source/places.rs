//! Where source files are looked for.

use std::path::PathBuf;

/// A rewriting of paths that begin with `from`, as given by `--path-map FROM=TO`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathMap {
    /// Folder as the compiler wrote it.
    pub from: PathBuf,
    /// The same folder here.
    pub to: PathBuf,
}

/// Where to look for source files.
#[derive(Clone, Default, Debug)]
pub struct Places {
    /// Paths are shown relative to this folder, and relative ones are looked for in it.
    pub current_dir: PathBuf,
    /// The folder of the program's package or workspace: paths that are not below the current
    /// folder are shown relative to this one.
    pub package: Option<PathBuf>,
    /// Where to look for files that are not at their path, by ever shorter ends of the path.
    pub root: Option<PathBuf>,
    /// The first that fits a path rewrites it.
    pub maps: Vec<PathMap>,
}
