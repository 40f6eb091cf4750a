//! A process as `/proc` shows it: whose it is, and what it is called.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use rustix::process::geteuid;

use super::AttachError;

/// A process that may be asked to record itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunningProcess {
    /// Its number.
    pub pid: u32,
    /// Its number as the process itself knows it: another one in a container.
    pub own_pid: u32,
    /// What it is called.
    pub name: String,
}

impl RunningProcess {
    /// The process with number `pid`.
    ///
    /// # Errors
    /// If there is none, if it is another user's, or if it has rights that this user does not have.
    /// Root may ask every process.
    pub fn open(pid: u32) -> Result<RunningProcess, AttachError> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"));
        let status = status.map_err(|error| match error.kind() {
            ErrorKind::NotFound if !Path::new("/proc/self").exists() => AttachError::NoProc,
            _ => AttachError::NoProcess { pid },
        })?;
        // Of a process that has ended and was not waited for, nothing is left but its number.
        if line(&status, "State:").is_some_and(|state| state.starts_with(['Z', 'X'])) {
            return Err(AttachError::Ended { pid });
        }
        may_ask(pid, &status, geteuid().as_raw())?;
        Ok(RunningProcess {
            pid,
            own_pid: numbers(&status, "NSpid:").last().unwrap_or(pid),
            name: name_of(pid, &status),
        })
    }

    /// The processes of this user, in the order of their numbers.
    pub fn all() -> Vec<RunningProcess> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut numbers: Vec<u32> = numbers.collect();
        numbers.sort_unstable();
        let own = geteuid().as_raw();
        let is_own = |pid: &u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status"));
            status.is_ok_and(|status| self::numbers(&status, "Uid:").next() == Some(own))
        };
        let processes = numbers.into_iter().filter(is_own);
        processes
            .filter_map(|pid| RunningProcess::open(pid).ok())
            .collect()
    }
}

/// Refuses the processes of other users, unless `user` is root, and those with other rights than
/// their user's. The kernel would refuse them too, in fewer words.
fn may_ask(pid: u32, status: &str, user: u32) -> Result<(), AttachError> {
    const ROOT: u32 = 0;
    let name = || name_of(pid, status);
    let users: Vec<u32> = numbers(status, "Uid:").collect();
    match users[..] {
        [real, effective, saved, ..] if real != effective || effective != saved => {
            Err(AttachError::Privileged { pid, name: name() })
        }
        [owner, ..] if user != ROOT && owner != user => Err(AttachError::OtherUser {
            pid,
            name: name(),
            user: owner,
        }),
        _ => Ok(()),
    }
}

/// The program's file name, or what the kernel calls the process, which is cut off at 15 bytes.
fn name_of(pid: u32, status: &str) -> String {
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok();
    let name = program.as_deref().and_then(Path::file_name);
    let name = name.map(|name| name.to_string_lossy().into_owned());
    let name = name.map(|name| name.trim_end_matches(" (deleted)").to_owned());
    name.or_else(|| Some(line(status, "Name:")?.to_owned()))
        .unwrap_or_default()
}

/// What stands behind `key`.
fn line<'a>(status: &'a str, key: &str) -> Option<&'a str> {
    let value = status.lines().find_map(|line| line.strip_prefix(key))?;
    Some(value.trim())
}

fn numbers(status: &str, key: &str) -> impl Iterator<Item = u32> {
    let value = line(status, key).unwrap_or_default();
    value
        .split_ascii_whitespace()
        .filter_map(|number| number.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_its_own_process() {
        let own = RunningProcess::open(std::process::id()).unwrap();
        assert_eq!(own.own_pid, std::process::id());
        assert!(RunningProcess::all().contains(&own));
        let error = RunningProcess::open(u32::MAX).unwrap_err();
        assert!(matches!(error, AttachError::NoProcess { .. }));
    }

    #[test]
    fn only_its_user_may_ask_a_process_or_root() {
        let asked = |uids: &str, user| {
            let status = format!("Name:\tshop\nUid:\t{uids}\nNSpid:\t4711\t3\n");
            may_ask(u32::MAX, &status, user).map_err(|error| error.to_string())
        };
        assert_eq!(asked("1000\t1000\t1000\t1000", 1000), Ok(()));
        assert_eq!(asked("1000\t1000\t1000\t1000", 0), Ok(()));
        let other = asked("1000\t1000\t1000\t1000", 1001).unwrap_err();
        assert!(other.contains("(shop) is user 1000's"), "{other}");
        // sudo, su: for root too, as the program itself would decline.
        for uids in ["1000\t0\t0\t0", "1000\t1000\t0\t1000"] {
            for user in [1000, 0] {
                let setuid = asked(uids, user).unwrap_err();
                assert!(setuid.contains("other rights than its user's"), "{setuid}");
            }
        }
    }
}
