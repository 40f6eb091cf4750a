//! This user's programs that have the recorder.

use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;

use profiler_alloc_format::control::Control;
use profiler_alloc_format::{Header, MAGIC, STATE_PAUSED, STATE_RECORDING};

use super::RunningProcess;
use super::control::{KnownPages, Memory, PagePlace, remedy};
use super::maps::{self, Mapping, seen_from_here};
use crate::report::{ProgramState, Programs, RunningProgram};

/// Lists them, in the order of their process numbers. What may not be looked at is left out.
pub fn list() -> Programs {
    let mut known = KnownPages::default();
    let mut programs = Programs::default();
    for process in RunningProcess::all() {
        let Ok(mappings) = maps::of(process.pid) else {
            continue;
        };
        let recording = profile_of(&process, &mappings);
        let places = known.find(&process, &mappings);
        let Some((profile, header)) = recording else {
            if places.is_empty() {
                continue;
            }
            let heap = match Memory::open(&process, false) {
                Ok(memory) => match heap(&memory, &places) {
                    Some(heap) => heap,
                    None => continue,
                },
                Err(_) => {
                    programs.unseen = Some(remedy());
                    None
                }
            };
            programs.list.push(RunningProgram {
                pid: process.pid,
                name: process.name,
                heap,
                state: ProgramState::Counting,
                profile: None,
            });
            continue;
        };
        programs.list.push(RunningProgram {
            pid: process.pid,
            name: process.name,
            heap: Some(header.heap as i64),
            state: match header.state {
                STATE_PAUSED => ProgramState::Paused,
                _ => ProgramState::Recording,
            },
            profile: Some(profile),
        });
    }
    programs
}

/// The heap that the recorders of a process tell of, the largest of several. `None` if none of them
/// would ever answer.
fn heap(memory: &Memory, places: &[PagePlace]) -> Option<Option<i64>> {
    let pages = places.iter().map(|place| {
        let page = memory.control(place.address).ok();
        (place, page)
    });
    let is_idle = |(place, page): &(&PagePlace, Option<Control>)| {
        page.as_ref().is_some_and(|page| place.is_idle(page))
    };
    let pages: Vec<_> = pages.filter(|page| !is_idle(page)).collect();
    let heaps = pages.iter().map(|(_, page)| match page.as_ref()?.heap_at {
        0 => Some(0),
        at => memory.word(at).ok().map(|heap| heap as i64),
    });
    (!pages.is_empty()).then(|| heaps.flatten().max())
}

/// The profile that a process writes now, and its header.
fn profile_of(process: &RunningProcess, mappings: &[Mapping]) -> Option<(PathBuf, Header)> {
    let starts = mappings.iter();
    let mut starts = starts.filter(|map| map.is_shared && map.is_writable && map.offset == 0);
    starts.find_map(|map| {
        let path = seen_from_here(process.pid, &map.path);
        fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        let mut bytes = [0; Header::LEN];
        File::open(&path).ok()?.read_exact(&mut bytes).ok()?;
        let header = Header::from_bytes(&bytes);
        let is_written = matches!(header.state, STATE_RECORDING | STATE_PAUSED);
        let is_its_own = (header.magic, header.pid) == (MAGIC, process.own_pid);
        (is_written && is_its_own).then_some((path, header))
    })
}
