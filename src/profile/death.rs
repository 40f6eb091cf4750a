//! How a program ended that did not end in order: added to its profile by `memprof run`, which
//! waited for it.

use std::io;
use std::path::Path;

use profiler_alloc_format::OOM_KILLED;

use super::amend::amend;
use super::{Profile, State};

/// The end of a program that was killed, or crashed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Death {
    /// When it was found gone, nanoseconds since the start of the recording.
    pub at_ns: u64,
    /// By what.
    pub by: DeathBy,
    /// Bytes of memory that the program and others of its control group might have in all. `None`
    /// if they were not limited.
    pub memory_limit: Option<u64>,
}

/// What ended a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeathBy {
    /// The kernel's, as there was no memory left.
    OomKiller,
    /// The signal of this number.
    Signal(u32),
}

impl Profile {
    /// How its program ended, if it did not end in order and somebody saw it.
    pub fn death(&self) -> Option<Death> {
        let header = &self.header;
        if header.gone_ns == 0 || matches!(self.state(), State::Finished | State::Exited) {
            return None;
        }
        Some(Death {
            at_ns: header.gone_ns,
            by: match header.gone_by & OOM_KILLED {
                0 => DeathBy::Signal(header.gone_by as u32),
                _ => DeathBy::OomKiller,
            },
            memory_limit: Some(header.memory_limit).filter(|&limit| limit != 0),
        })
    }
}

/// Adds to the profile at `path` how its program ended. It must not be written to by anyone else:
/// the program is gone. `false` if it is no profile.
pub fn add_death(path: &Path, death: &Death) -> io::Result<bool> {
    amend(path, |_, header| {
        header.gone_ns = death.at_ns.max(1);
        header.gone_by = match death.by {
            DeathBy::OomKiller => OOM_KILLED,
            DeathBy::Signal(signal) => signal.into(),
        };
        header.memory_limit = death.memory_limit.unwrap_or(0);
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{builder::Builder, read};
    use profiler_alloc_format::{STATE_FINISHED, STATE_RECORDING};

    #[test]
    fn what_is_added_is_read_of_a_program_that_did_not_end_in_order() {
        let death = |by| Death {
            at_ns: 5_000,
            by,
            memory_limit: Some(1 << 31),
        };
        for (state, by, is_read) in [
            (STATE_RECORDING, DeathBy::OomKiller, true),
            (STATE_RECORDING, DeathBy::Signal(11), true),
            (STATE_FINISHED, DeathBy::Signal(9), false),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            let mut builder = Builder::new();
            builder.header.state = state;
            std::fs::write(&file, builder.to_bytes()).unwrap();
            let (before, _) = read(file.path()).unwrap();
            assert_eq!(before.death(), None);
            assert!(add_death(file.path(), &death(by)).unwrap());
            let (after, _) = read(file.path()).unwrap();
            assert_eq!(after.death(), is_read.then(|| death(by)));
            assert_eq!(after.stacks, before.stacks);
        }
        let other = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&other, [1; 9000]).unwrap();
        assert!(!add_death(other.path(), &death(DeathBy::OomKiller)).unwrap());
    }
}
