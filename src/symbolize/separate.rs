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
//! what `Fetch` brings, by build-id
//! ```

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::Crc;
use object::{Object, ObjectSection, ReadCache};

use super::module::{build_id, hex};
use crate::defect::Defect;
use crate::profile::Module;
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

/// Brings debug files that are nowhere on this machine.
pub trait Fetch: Sync {
    /// The debug file of the module at `path`, which has that build-id, if anybody has it.
    fn debug_file(&self, build_id: &[u8], path: &Path) -> Option<PathBuf>;
}

/// How to come by a file of that build-id.
type Fetched<'a> = Option<&'a dyn Fetch>;

/// The files for the module at `path`, and what is wrong with them.
pub(super) fn find(path: &Path, fetch: Fetched<'_>) -> (DebugFiles, Option<Defect>) {
    let (main, defect) = match Link::of(path) {
        Some(link) => link.follow(path, fetch),
        None => (path.to_owned(), None),
    };
    with_supplement(main, fetch, defect)
}

/// The files for a module whose own file is not there, or is of another build.
pub(super) fn find_without(
    module: &Module,
    fetch: Fetched<'_>,
) -> Option<(DebugFiles, Option<Defect>)> {
    let is_file = module.path.is_absolute() && !module.build_id.is_empty();
    let main = (fetch.filter(|_| is_file)?).debug_file(&module.build_id, &module.path)?;
    Some(with_supplement(main, fetch, None))
}

fn with_supplement(
    main: PathBuf,
    fetch: Fetched<'_>,
    defect: Option<Defect>,
) -> (DebugFiles, Option<Defect>) {
    match supplement(&main, fetch) {
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
    fn follow(&self, path: &Path, fetch: Fetched<'_>) -> (PathBuf, Option<Defect>) {
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
        let fetch = fetch.filter(|_| !self.build_id.is_empty());
        if let Some(place) = fetch.and_then(|fetch| fetch.debug_file(&self.build_id, path)) {
            return (place, None);
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

/// Whether the file at `path` is a whole object file of that build-id; if not, why not.
pub fn check_debug_file(path: &Path, id: &[u8]) -> Result<(), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let len = file.metadata().map_or(0, |metadata| metadata.len());
    let cache = ReadCache::new(file);
    let object = object::File::parse(&cache)
        .map_err(|error| format!("it is no whole object file ({error})"))?;
    let ends = object.sections().filter_map(|section| section.file_range());
    if ends
        .map(|(at, size)| at.saturating_add(size))
        .any(|end| end > len)
    {
        return Err("it ends early".to_owned());
    }
    match object.build_id() {
        Ok(Some(found)) if found == id => Ok(()),
        Ok(Some(found)) => Err(format!(
            "it is of another build (build-id {}, asked for {})",
            hex(found),
            hex(id)
        )),
        _ => Err("it says no build-id".to_owned()),
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
fn supplement(path: &Path, fetch: Fetched<'_>) -> Result<Option<PathBuf>, Defect> {
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
    if build_id(&place).is_ok_and(|found| found.as_ref() == Some(&id)) {
        return Ok(Some(place));
    }
    if let Some(place) = fetch.and_then(|fetch| fetch.debug_file(&id, &place)) {
        return Ok(Some(place));
    }
    Err(Defect::SharedDebugInfoMissing {
        path: path.to_owned(),
        supplement: place,
    })
}
