//! Notes in each profile what the program's own source files hold, so that a report can say later
//! whether they are still those.

use std::collections::HashMap;
use std::path::PathBuf;

use super::Recorded;
use crate::profile::{Module, SourceState, add_sources};
use crate::source::look_into;
use crate::symbolize::source_files;

/// Most files of one program that are read.
const MOST_FILES: usize = 8192;
/// Most bytes of source of one program that are read.
const MOST_BYTES: u64 = 256 << 20;

type States = HashMap<String, SourceState>;

/// Adds to each of `profiles` what the sources hold now. A profile that cannot be written to, or
/// whose program still runs, stays as it is: a report then goes by the files' dates and lines.
pub fn note_sources(profiles: &[Recorded]) {
    // Test runners start one program dozens of times.
    let mut known: HashMap<(PathBuf, Vec<u8>), States> = HashMap::new();
    for profile in profiles.iter().filter(|profile| profile.has_ended) {
        let mut states = States::new();
        for module in &profile.modules {
            let id = (module.path.clone(), module.build_id.clone());
            let of_module = known.entry(id).or_insert_with(|| states_of(module));
            for (path, state) in of_module.iter() {
                let state = SourceState {
                    // Two modules may be built from one file, at two times.
                    was_newer: state.was_newer
                        || states.get(path).is_some_and(|other| other.was_newer),
                    ..*state
                };
                states.insert(path.clone(), state);
            }
        }
        let _ = add_sources(&profile.path, &states);
    }
}

fn states_of(module: &Module) -> States {
    let mut left = MOST_BYTES;
    let mut states = States::new();
    for path in source_files(module).into_iter().take(MOST_FILES) {
        let Some(found) = look_into(path.as_ref(), left) else {
            continue;
        };
        left -= found.len;
        let state = SourceState {
            md5: found.md5,
            // Where it is not known when the program was built, nothing is older than it.
            was_newer: module.modified_ns == 0 || found.modified_ns > module.modified_ns,
        };
        states.insert(path, state);
    }
    states
}
