//! Profiles that are looked at as one: which they are, and how they are read.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail};
use profiler_alloc_format::processes::PHASE_LIST;
use profiler_alloc_format::{EXTENSION, Header, MAGIC};

use crate::defect::Defect;
use crate::profile::{
    self, Candidate, Merger, Profile, ReadError, first_of_process, is_original, own_peak,
};

/// The profiles in `folder` of its last run, or of the `nth` last: all of one number that `memprof
/// run` chose.
pub fn of_run(folder: &Path, nth: NonZeroUsize) -> anyhow::Result<Vec<PathBuf>> {
    let profiles = profiles(folder).context("cannot list the current folder")?;
    let mut runs: Vec<u64> = Vec::new();
    let mut of_run: HashMap<u64, Vec<PathBuf>> = HashMap::new();
    let mut merged: HashMap<u64, PathBuf> = HashMap::new();
    for path in profiles {
        let Some(header) = header(&path).filter(|header| header.run_id != 0) else {
            continue;
        };
        // The one that was written last comes first, and so does its run.
        if !runs.contains(&header.run_id) {
            runs.push(header.run_id);
        }
        let path = path.strip_prefix(".").map_or(path.clone(), Path::to_owned);
        match header.process_count {
            0 => of_run.entry(header.run_id).or_default().push(path),
            _ => {
                merged.entry(header.run_id).or_insert(path);
            }
        }
    }
    let Some(run) = runs.get(nth.get() - 1) else {
        bail!(
            "this folder has *.{EXTENSION} files of {} runs of `memprof run`, so there is no run {nth}; 1 is the last",
            runs.len()
        );
    };
    // What was merged of a run counts where its parts are gone, and not beside them.
    let parts = of_run.remove(run);
    Ok(parts.unwrap_or_else(|| merged.remove(run).into_iter().collect()))
}

/// The profile in `folder` that was modified last; of a run with several, that of the process that
/// used most memory, which is then said on stderr.
pub fn newest(folder: &Path) -> anyhow::Result<PathBuf> {
    let profiles = profiles(folder).context("cannot list the current folder")?;
    let Some(newest) = profiles.first() else {
        bail!(
            "no *.{EXTENSION} file in this folder; record one with `memprof run -- PROGRAM`, or name a file"
        );
    };
    let (path, of) = largest_of_run(&profiles).unwrap_or_else(|| (newest.clone(), 1));
    let path = path.strip_prefix(".").map_or(path.clone(), Path::to_owned);
    if of > 1 {
        let _ = writeln!(
            io::stderr(),
            "memprof: {} is of the process that used most memory, of the {of} profiles of this run; to see another, name it, and all as one with `--run 1`",
            path.display()
        );
    }
    Ok(path)
}

/// Of the run that the first of `profiles` is of, the one to look at first of the process with most
/// memory, and how many profiles there are, or 1 if all are of that process.
fn largest_of_run(profiles: &[PathBuf]) -> Option<(PathBuf, usize)> {
    let newest = header(profiles.first()?).filter(|newest| newest.process_count == 0)?;
    let headers = profiles
        .iter()
        .filter_map(|path| Some((path, header(path)?)));
    let of_run: Vec<_> = headers
        .filter(|(_, header)| header.run_id != 0 && header.run_id == newest.run_id)
        .filter(|(_, header)| header.process_count == 0)
        .collect();
    let (_, largest) = of_run.iter().max_by_key(|(_, header)| own_peak(header))?;
    let same_process: Vec<_> = of_run
        .iter()
        .filter(|(_, header)| header.pid == largest.pid)
        .collect();
    // Which program a profile is of stands further down in it: of one process there are few.
    let read: Vec<_> = same_process
        .iter()
        .filter_map(|(path, _)| Some((*path, profile::read(path).ok()?.0)))
        .collect();
    let first = first_of_process(read.iter().map(|(_, profile)| Candidate {
        program: profile.modules.first().map(|module| &*module.path),
        own_peak: own_peak(&profile.header),
        started_ns: profile.header.started_unix_ns,
    }))?;
    let path = read[first].0.clone();
    // A copy is no other profile.
    let identity = |(_, header): &(_, Header)| (header.pid, header.started_unix_ns);
    let distinct: HashSet<_> = of_run.iter().map(identity).collect();
    let is_one_process = same_process.len() == of_run.len();
    Some((path, if is_one_process { 1 } else { distinct.len() }))
}

/// The profiles in `folder`, the one that was modified last first.
pub fn profiles(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let profiles = paths.filter(|path| path.extension().is_some_and(|e| e == EXTENSION));
    let mut dated: Vec<(SystemTime, PathBuf)> = profiles
        .filter_map(|path| {
            let metadata = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
            Some((metadata.modified().ok()?, path))
        })
        .collect();
    dated.sort_by_key(|(modified, _)| Reverse(*modified));
    Ok(dated.into_iter().map(|(_, path)| path).collect())
}

/// The header of the profile at `path`, if that is one.
fn header(path: &Path) -> Option<Header> {
    let mut bytes = [0; Header::LEN];
    File::open(path).ok()?.read_exact(&mut bytes).ok()?;
    let header = Header::from_bytes(&bytes);
    (header.magic == MAGIC).then_some(header)
}

/// Reads the profile at a path, or all at several as one.
///
/// Of several, those that cannot be read are left out, and so are those of processes that only list
/// tests; this is said beside the result.
pub fn read(paths: &[PathBuf]) -> anyhow::Result<(Profile, Vec<Defect>)> {
    match paths {
        [path] => Ok(profile::read(path)?),
        _ => Ok(merge(paths)?.finish()),
    }
}

/// Profiles that were added up, and what is to be said of those that were not.
pub struct Merged {
    merger: Merger,
    left_out: Vec<Defect>,
}

impl Merged {
    /// The merged profile, and what is to be said of it.
    pub fn finish(self) -> (Profile, Vec<Defect>) {
        let (profile, mut defects) = self.merger.finish();
        defects.extend(self.left_out);
        (profile, defects)
    }
}

/// Adds up the profiles at `paths`, one by one.
pub fn merge(paths: &[PathBuf]) -> anyhow::Result<Merged> {
    let chosen = Chosen::of(paths);
    let mut merger = Merger::default();
    let mut unread: Vec<String> = Vec::new();
    let mut first_error = None;
    let mut known = HashSet::new();
    let mut parts_are_here: Vec<String> = Vec::new();
    // Merged ones last, so that what they were merged of is known if it is here.
    let merged = chosen.others.iter().map(|path| (path, true));
    let files = chosen
        .files
        .iter()
        .map(|(path, is_resident)| (path, *is_resident));
    for (path, is_resident) in files.chain(merged) {
        match profile::read(path) {
            Ok((profile, defects)) => {
                let identities = identities(&profile);
                if identities.iter().any(|identity| known.contains(identity)) {
                    parts_are_here.push(name(path));
                    continue;
                }
                known.extend(identities);
                merger.add(name(path), profile, &defects, is_resident);
            }
            // A name that was mistyped is not to be taken for a process without a profile.
            Err(error @ ReadError::Unreadable { .. }) => return Err(error.into()),
            Err(error) => {
                unread.push(name(path));
                first_error.get_or_insert(error);
            }
        }
    }
    if merger.is_empty() {
        match first_error {
            Some(error) => return Err(error.into()),
            None => bail!("no profile is left to be shown: all are of processes that list tests"),
        }
    }
    let mut left_out = Vec::new();
    for (files, reason) in [
        (unread, "they hold no recording"),
        (chosen.lists, "their processes only list tests"),
        (chosen.copies, "they are copies of others"),
        (
            parts_are_here,
            "what they were merged of is counted already",
        ),
    ] {
        if !files.is_empty() {
            let reason = reason.to_owned();
            left_out.push(Defect::NotMerged { reason, files });
        }
    }
    Ok(Merged { merger, left_out })
}

/// What tells the recordings that a profile is of from others.
fn identities(profile: &Profile) -> Vec<(u64, u32, u64)> {
    let header = &profile.header;
    match profile.is_merged() {
        false => vec![(header.run_id, header.pid, header.started_unix_ns)],
        true => (profile.processes.iter())
            .map(|process| (process.run_id, process.pid, process.started_unix_ns))
            .collect(),
    }
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// What headers alone say of many profiles.
#[derive(Default)]
struct Chosen {
    /// Profiles to add up, and whether the resident set of each counts.
    files: Vec<(PathBuf, bool)>,
    /// Merged profiles, and what is none, which reading it says.
    others: Vec<PathBuf>,
    /// Those of processes that list tests.
    lists: Vec<String>,
    /// Copies of others.
    copies: Vec<String>,
}

impl Chosen {
    fn of(paths: &[PathBuf]) -> Chosen {
        let mut chosen = Chosen::default();
        let headers: Vec<Option<Header>> = paths.iter().map(|path| header(path)).collect();
        let identity = |header: &Header| (header.run_id, header.pid, header.started_unix_ns);
        let is_recorded = |header: &&Header| header.process_count == 0;
        // The file that the recorder wrote comes before copies of it.
        let originals: HashSet<_> = (paths.iter().zip(&headers))
            .filter_map(|(path, header)| Some((path, header.as_ref()?)))
            .filter(|(path, header)| is_original(path, header))
            .map(|(_, header)| identity(header))
            .collect();
        let mut known = HashSet::new();
        let mut spans: HashMap<(u64, u32), Vec<(u64, u64)>> = HashMap::new();
        for header in headers.iter().flatten().filter(is_recorded) {
            spans
                .entry((header.run_id, header.pid))
                .or_default()
                .push(span(header));
        }
        for (path, header) in paths.iter().zip(headers) {
            let Some(header) = header.filter(|header| is_recorded(&header)) else {
                chosen.others.push(path.clone());
                continue;
            };
            if header.test_phase == PHASE_LIST {
                chosen.lists.push(name(path));
                continue;
            }
            let id = identity(&header);
            let is_copy = originals.contains(&id) && !is_original(path, &header);
            if is_copy || !known.insert(id) {
                chosen.copies.push(name(path));
                continue;
            }
            // Two libraries of one process record its resident set both.
            let (start, _) = span(&header);
            let of_process = &spans[&(header.run_id, header.pid)];
            let is_told = of_process
                .iter()
                .any(|&(first, end)| first < start && start < end);
            chosen.files.push((path.clone(), !is_told));
        }
        chosen
    }
}

/// From when to when a recording was written to, by the clock.
fn span(header: &Header) -> (u64, u64) {
    let start = header.started_unix_ns;
    let end = start.saturating_add(header.updated_ns.max(header.final_ns));
    (start, end)
}
