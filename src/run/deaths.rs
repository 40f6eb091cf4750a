//! How the programs of a run ended that did not end in order.

use std::process::ExitStatus;
use std::time::SystemTime;

use std::os::unix::process::ExitStatusExt;

use super::Recorded;
use super::oom::OomKills;
use crate::profile::{Death, DeathBy, add_death};

/// Says in the profiles of a run how their programs ended: the process `pid`, which the run started,
/// with `status`, and others by the OOM killer. Gives the places of the profiles of those that were
/// killed. A profile that cannot be written to stays as it is.
pub fn note_deaths(
    profiles: &[Recorded],
    (pid, status): (u32, ExitStatus),
    kills: Option<OomKills>,
) -> Vec<usize> {
    let now_ns = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64);
    let mut left = kills.map_or(0, |kills| kills.count);
    let limit = kills.and_then(|kills| kills.limit);
    let mut noted = Vec::new();
    // Most memory first: that is whom the OOM killer takes.
    for (place, profile) in profiles.iter().enumerate() {
        if !profile.is_unfinished {
            continue;
        }
        let signal = status.signal().filter(|_| profile.pid == pid);
        let is_sigkill = match profile.pid == pid {
            true => signal == Some(9),
            // Its own parent knows; memprof does not.
            false => true,
        };
        let by = match (left, signal) {
            (1.., _) if is_sigkill => {
                left -= 1;
                DeathBy::OomKiller
            }
            (_, Some(signal)) => DeathBy::Signal(signal.unsigned_abs()),
            (_, None) => continue,
        };
        let death = Death {
            at_ns: now_ns.saturating_sub(profile.started_ns),
            by,
            memory_limit: limit.filter(|_| by == DeathBy::OomKiller),
        };
        if add_death(&profile.path, &death).is_ok_and(|is_added| is_added) {
            noted.push(place);
        }
    }
    noted
}
