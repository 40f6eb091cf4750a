//! How the programs of a run ended that did not end in order.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::SystemTime;

use super::Recorded;
use super::oom::OomKills;
use super::recorded::first_profile;
use crate::profile::{Death, DeathBy, add_death};

/// Says in the profiles of a run how their programs ended: the process `pid`, which the run
/// started, with `status`, and others by the OOM killer. Gives a profile of each process that was
/// killed. A profile that cannot be written to stays as it is.
pub fn note_deaths(
    profiles: &[Recorded],
    (pid, status): (u32, ExitStatus),
    kills: Option<OomKills>,
) -> Vec<&Recorded> {
    let now_ns = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64);
    let mut killed = Vec::new();
    for (process, by) in deaths(profiles, (pid, status.signal()), kills) {
        let limit = kills.and_then(|kills| kills.limit);
        let limit = limit.filter(|_| by == DeathBy::OomKiller);
        let of_process: Vec<&Recorded> = last_of(profiles, process).collect();
        let noted = of_process.iter().filter(|profile| {
            let death = Death {
                at_ns: now_ns.saturating_sub(profile.started_ns),
                by,
                memory_limit: limit,
            };
            add_death(&profile.path, &death).is_ok_and(|is_added| is_added)
        });
        if noted.count() > 0 {
            killed.extend(first_profile(of_process.into_iter()));
        }
    }
    killed
}

/// The processes that did not end in order, and by what.
fn deaths(
    profiles: &[Recorded],
    (pid, signal): (u32, Option<i32>),
    kills: Option<OomKills>,
) -> Vec<(u32, DeathBy)> {
    const SIGKILL: i32 = 9;
    let mut left = kills.map_or(0, |kills| kills.count);
    let mut deaths: Vec<(u32, DeathBy)> = Vec::new();
    // Most memory first: that is whom the OOM killer takes.
    for process in profiles.iter().map(|profile| profile.pid) {
        let is_new = deaths.iter().all(|&(known, _)| known != process);
        if !is_new || last_of(profiles, process).next().is_none() {
            continue;
        }
        // Of others than the one that it started, memprof does not know the signal.
        let signal = signal.filter(|_| process == pid);
        let may_be_oom = process != pid || signal == Some(SIGKILL);
        let by = match signal {
            _ if may_be_oom && left > 0 => DeathBy::OomKiller,
            Some(signal) => DeathBy::Signal(signal.unsigned_abs()),
            None => continue,
        };
        left -= u64::from(by == DeathBy::OomKiller);
        deaths.push((process, by));
    }
    deaths
}

/// The unfinished profiles of the program that a process was at last: a shell that executes another
/// program leaves its profile as it was then, and was not killed.
fn last_of(profiles: &[Recorded], process: u32) -> impl Iterator<Item = &Recorded> {
    let of_process = move || {
        profiles
            .iter()
            .filter(move |profile| profile.pid == process)
    };
    let last = of_process().max_by_key(|profile| profile.started_ns);
    let program = last.and_then(Recorded::program).map(Path::to_owned);
    of_process()
        .filter(move |profile| profile.is_unfinished && profile.program() == program.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Module;

    fn profile(pid: u32, program: &str, started_ns: u64, is_unfinished: bool) -> Recorded {
        Recorded {
            modules: vec![Module {
                path: program.into(),
                ..Module::default()
            }],
            is_unfinished,
            ..Recorded::of_nothing(pid, started_ns)
        }
    }

    fn kills(count: u64) -> Option<OomKills> {
        (count > 0).then_some(OomKills { count, limit: None })
    }

    #[test]
    fn what_a_shell_became_was_killed_and_not_the_shell() {
        // Most memory first.
        let profiles = [
            profile(7, "/bin/python", 30, true),
            profile(7, "/bin/sh", 10, true),
            profile(8, "/bin/env", 20, false),
        ];
        let all = |signal, count| deaths(&profiles, (7, signal), kills(count));
        assert_eq!(all(Some(9), 1), [(7, DeathBy::OomKiller)]);
        assert_eq!(all(Some(9), 0), [(7, DeathBy::Signal(9))]);
        assert_eq!(all(Some(11), 1), [(7, DeathBy::Signal(11))]);
        assert_eq!(
            all(None, 1),
            [],
            "it ended by itself, and killed was another"
        );
        let last: Vec<u64> = last_of(&profiles, 7).map(|last| last.started_ns).collect();
        assert_eq!(last, [30]);
    }

    #[test]
    fn of_children_as_many_were_killed_as_the_kernel_counted() {
        let profiles = [
            profile(8, "/app", 20, true),
            profile(9, "/app", 21, true),
            profile(7, "/bin/sh", 10, true),
        ];
        let all = |count| deaths(&profiles, (7, None), kills(count));
        assert_eq!(all(1), [(8, DeathBy::OomKiller)]);
        let both = [(8, DeathBy::OomKiller), (9, DeathBy::OomKiller)];
        assert_eq!(all(5), both, "what the run started ended by itself");
        assert_eq!(all(0), []);
    }
}
