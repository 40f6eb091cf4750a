//! Debug information that lies in a file of its own, found as gdb finds it, and proved to be of the
//! same build.
//!
//! ```text
//! /opt/app/app          build-id 1a2b3c…, .gnu_debuglink "app.debug" and its CRC, no .debug_info
//!
//! /usr/lib/debug/.build-id/1a/2b3c….debug
//! /opt/app/app.debug
//! /opt/app/.debug/app.debug
//! /usr/lib/debug/opt/app/app.debug
//! ```

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::Crc;
use object::{Object, ReadCache};

use super::module::{build_id, hex};
use crate::defect::Defect;
use crate::system;

/// Where the debug files of the system are.
const SYSTEM: &str = "/usr/lib/debug";

/// What is to be read for the names and lines of a module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct DebugFiles {
    /// The module's own file, or the separate one.
    pub main: PathBuf,
    /// What `dwz` moved out of several files into one.
    pub supplement: Option<PathBuf>,
}

/// The files for the module at `path`, and what is wrong with them.
pub(super) fn find(path: &Path) -> (DebugFiles, Option<Defect>) {
    let (main, defect) = match Link::of(path) {
        Some(link) => link.follow(path),
        None => (path.to_owned(), None),
    };
    match supplement(&main) {
        Ok(supplement) => (DebugFiles { main, supplement }, defect),
        Err(missing) => {
            let files = DebugFiles {
                main,
                supplement: None,
            };
            (files, defect.or(Some(missing)))
        }
    }
}

/// What a file without debug information says of the one that has it.
struct Link {
    build_id: Vec<u8>,
    /// Its name and CRC.
    named: Option<(PathBuf, u32)>,
}

impl Link {
    /// `None` if the file has line information itself, or says nothing.
    fn of(path: &Path) -> Option<Link> {
        let file = File::open(path).ok()?;
        let cache = ReadCache::new(file);
        let object = object::File::parse(&cache).ok()?;
        if object.section_by_name(".debug_line").is_some() {
            return None;
        }
        let named = object.gnu_debuglink().ok().flatten();
        Some(Link {
            build_id: object
                .build_id()
                .ok()
                .flatten()
                .unwrap_or_default()
                .to_owned(),
            named: named.map(|(name, crc)| (system::path(name), crc)),
        })
    }

    /// The first file that is of the same build; the module's own where there is none.
    fn follow(&self, path: &Path) -> (PathBuf, Option<Defect>) {
        let mut foreign = None;
        for place in self
            .places(path)
            .into_iter()
            .filter(|place| place.is_file())
        {
            if self.is_of_this_build(&place) {
                return (place, None);
            }
            foreign.get_or_insert(place);
        }
        let path = path.to_owned();
        let defect = match (foreign, &self.named) {
            (Some(found), _) => Some(Defect::DebugFileForeign {
                path: path.clone(),
                found,
            }),
            (None, Some((name, _))) => Some(Defect::DebugFileMissing {
                path: path.clone(),
                name: name.display().to_string(),
            }),
            (None, None) => None,
        };
        (path, defect)
    }

    fn places(&self, path: &Path) -> Vec<PathBuf> {
        let mut places = Vec::new();
        if let Some((first, rest)) = self.build_id.split_first() {
            let name = format!("{}/{}.debug", hex(&[*first]), hex(rest));
            places.push(Path::new(SYSTEM).join(".build-id").join(name));
        }
        // Where the file is, not where a link to it is.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if let (Some((name, _)), Some(folder)) = (&self.named, path.parent()) {
            let below_system = folder.strip_prefix("/").unwrap_or(folder);
            places.push(folder.join(name));
            places.push(folder.join(".debug").join(name));
            places.push(Path::new(SYSTEM).join(below_system).join(name));
        }
        places.retain(|place| *place != path);
        places
    }

    /// By the build-id; by the CRC where there is none.
    fn is_of_this_build(&self, place: &Path) -> bool {
        match &self.named {
            Some((_, crc)) if self.build_id.is_empty() => crc_of(place) == Some(*crc),
            _ => build_id(place).is_ok_and(|found| found.is_some_and(|id| id == self.build_id)),
        }
    }
}

fn crc_of(path: &Path) -> Option<u32> {
    let mut file = BufReader::new(File::open(path).ok()?);
    let mut crc = Crc::new();
    let mut part = vec![0; 1 << 16];
    loop {
        match file.read(&mut part).ok()? {
            0 => return Some(crc.sum()),
            len => crc.update(&part[..len]),
        }
    }
}

/// The file that `.gnu_debugaltlink` of the file at `path` names: `dwz -m` moved what several files
/// share into it.
fn supplement(path: &Path) -> Result<Option<PathBuf>, Defect> {
    let named = || -> Option<(PathBuf, Vec<u8>)> {
        let file = File::open(path).ok()?;
        let cache = ReadCache::new(file);
        let object = object::File::parse(&cache).ok()?;
        let (name, id) = object.gnu_debugaltlink().ok().flatten()?;
        Some((path.parent()?.join(system::path(name)), id.to_owned()))
    };
    let Some((place, id)) = named() else {
        return Ok(None);
    };
    if build_id(&place).is_ok_and(|found| found == Some(id)) {
        return Ok(Some(place));
    }
    Err(Defect::SharedDebugInfoMissing {
        path: path.to_owned(),
        supplement: place,
    })
}
