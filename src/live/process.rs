//! Whether the program that writes a profile still runs, as far as `/proc` tells.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::profile::State;
use crate::report::ProcessStatus;
use crate::system;

/// What `/proc` says of a process and a profile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Process {
    /// It runs, and has the profile mapped.
    Recording,
    /// It runs, and does not have the profile mapped: it is another process with the number of the
    /// one recorded, or that one runs another program now.
    Other,
    /// There is no such process.
    Gone,
    /// It may run, and may not be looked at.
    Hidden,
}

impl Process {
    /// Looks at process `pid` and the profile in the file at `path`. Without `/proc`, as on macOS
    /// and Windows, nothing can be said of it.
    pub fn look(pid: u32, path: &Path) -> Process {
        if !Path::new("/proc/self").exists() {
            return Process::Hidden;
        }
        let Ok(Some(inode)) = system::inode(path) else {
            return match Path::new(&format!("/proc/{pid}")).exists() {
                true => Process::Hidden,
                false => Process::Gone,
            };
        };
        // Of a process that has ended and was not waited for, there are no maps.
        match fs::read_to_string(format!("/proc/{pid}/maps")) {
            Ok(maps) if maps.is_empty() => Process::Gone,
            Ok(maps) if maps_file(&maps, inode) => Process::Recording,
            Ok(_) => Process::Other,
            Err(error) if error.kind() == ErrorKind::NotFound => Process::Gone,
            Err(error) if system::no_such_process(&error) => Process::Gone,
            Err(_) => Process::Hidden,
        }
    }

    /// What became of the program, whose profile says `state`. `changing` is whether the profile
    /// changed since it was last read, if it was: then somebody writes it, though not under this
    /// number.
    pub fn status(self, state: State, changing: Option<bool>) -> ProcessStatus {
        match (state, self) {
            (State::Exited, _) => ProcessStatus::Ended,
            (State::Finished, _) => ProcessStatus::Finished,
            (State::Recording, Process::Recording) => ProcessStatus::Running,
            (State::Paused, Process::Recording) => ProcessStatus::Paused,
            _ if changing == Some(true) => ProcessStatus::Running,
            (_, Process::Gone | Process::Other) if changing == Some(false) => ProcessStatus::Killed,
            _ => ProcessStatus::Unknown,
        }
    }
}

/// Whether a mapping of `maps` is of a file with number `inode`:
/// `start-end perms offset device inode path`. The device is not that of `stat` on every file
/// system.
fn maps_file(maps: &str, inode: u64) -> bool {
    (maps.lines()).any(|line| {
        let number = line.split_ascii_whitespace().nth(4);
        number.and_then(|number| number.parse().ok()) == Some(inode)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_known_by_the_number_of_its_file() {
        let maps = "\
7f0000000000-7f0000001000 rw-s 00000000 fd:01 4711                       /tmp/a b.memprof (deleted)
7f0000002000-7f0000003000 rw-p 00000000 00:00 0
";
        assert!(maps_file(maps, 4711));
        assert!(!maps_file(maps, 471));
        assert!(!maps_file("", 1));
    }

    #[test]
    fn sees_processes() {
        let binary = std::env::current_exe().unwrap();
        assert_eq!(
            Process::look(std::process::id(), &binary),
            Process::Recording
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(
            Process::look(std::process::id(), file.path()),
            Process::Other
        );
        assert_eq!(Process::look(u32::MAX, file.path()), Process::Gone);
        assert_eq!(
            Process::look(u32::MAX, "/no/such/file".as_ref()),
            Process::Gone
        );
    }

    #[test]
    fn only_what_is_known_to_be_gone_was_killed() {
        use Process::*;
        let status = |process: Process, state| process.status(state, Some(false));
        assert_eq!(status(Recording, State::Recording), ProcessStatus::Running);
        assert_eq!(status(Recording, State::Paused), ProcessStatus::Paused);
        assert_eq!(status(Gone, State::Recording), ProcessStatus::Killed);
        assert_eq!(status(Other, State::Paused), ProcessStatus::Killed);
        assert_eq!(status(Hidden, State::Recording), ProcessStatus::Unknown);
        assert_eq!(status(Gone, State::Exited), ProcessStatus::Ended);
        assert_eq!(status(Recording, State::Finished), ProcessStatus::Finished);
        // In another PID namespace, it cannot be seen, but it writes.
        assert_eq!(Gone.status(State::Recording, None), ProcessStatus::Unknown);
        assert_eq!(
            Gone.status(State::Recording, Some(true)),
            ProcessStatus::Running
        );
    }
}
