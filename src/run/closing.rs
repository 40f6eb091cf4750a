//! The last lines of a run: what was recorded and what to type next, or why there is nothing.

use std::fmt::Write;
use std::path::Path;

use super::{Mechanism, Recorded, Removed};
use crate::profile::Loss;
use crate::units::{ByteSize, Count};

/// Profiles of a run that have a line of their own, most memory first.
const LISTED: usize = 8;

/// The two lines that give a program the crate.
const CRATE: &str = "\
    cargo add profiler-alloc

    use profiler_alloc::ProfilerAlloc;
    #[global_allocator] static ALLOC: ProfilerAlloc = ProfilerAlloc::system();";

/// What to say when no program of the run wrote a profile: of `program`, which was to be recorded
/// in this way; `None` where the library was loaded into nothing.
pub fn nothing_recorded(program: &str, mechanism: Option<Mechanism>) -> String {
    const CLEARED: &str = "its environment was cleared on the way (as by `sudo` and `env -i`; write `memprof run` behind these)";
    match mechanism {
        Some(Mechanism::Neither(obstacle)) => format!(
            "nothing was recorded of {program}: {obstacle}. What records such programs is the crate; if it is of Rust, add it, \
             build and run again:\n\n{CRATE}"
        ),
        Some(Mechanism::Crate) => {
            format!(
                "nothing was recorded: {program} has the profiler allocator, and {CLEARED}, or it took no memory"
            )
        }
        Some(Mechanism::Preload) => format!(
            "nothing was recorded: no program of this run took memory by malloc, or {CLEARED}. Programs that bring their own \
             malloc, static ones and those of another machine are recorded with the crate alone:\n\n{CRATE}"
        ),
        None => format!(
            "nothing was recorded: no program of this run has the profiler allocator, or {CLEARED}. Programs without it are \
             recorded too, but not with --no-preload, and not below cargo without --preload. Add it with these lines, then build \
             and run again:\n\n{CRATE}"
        ),
    }
}

/// What to say when only tests were to be recorded, and none was.
pub const NO_TEST: &str = "nothing was recorded: nextest ran no test, or the tests bring a malloc of their own; `--only all` \
                           records every program of the run";

/// What was removed of a run's profiles, if anything was.
pub fn removed_line(removed: &Removed) -> Option<String> {
    (removed.profiles > 0).then(|| {
        format!(
            "removed {} as asked for, each with a peak of at most {}: {} on disk",
            profiles_in_words(removed.profiles),
            ByteSize(removed.most),
            ByteSize(removed.bytes)
        )
    })
}

/// What all profiles of a run take on disk, in bytes, and how to see them as one.
pub fn all_line(profiles: &[Recorded], on_disk: u64, folder: &Path) -> String {
    let all = profiles_in_words(profiles.len());
    let mut line = format!("all {all} take {} on disk", ByteSize(on_disk));
    let is_here = |profile: &Recorded| profile.path.parent() == Some(folder);
    if profiles.iter().all(is_here) {
        line += "; as one: memprof report --run 1, a line for each: memprof processes --run 1";
    }
    line
}

fn profiles_in_words(number: usize) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} profile{s}", Count(number as u64))
}

/// The lines of the run's profiles: most memory first, and one for those beyond eight.
pub fn recorded_lines(profiles: &[Recorded], machine: u64, folder: &Path) -> Vec<String> {
    let line = |profile| recorded_line(profile, machine, folder);
    // One line more stands for several profiles only.
    if profiles.len() <= LISTED + 1 {
        return profiles.iter().map(line).collect();
    }
    let (listed, rest) = profiles.split_at(LISTED);
    let most = rest.iter().map(Recorded::own_peak).max();
    let rest = format!(
        "and {} profiles more, each with a peak of at most {}",
        Count(rest.len() as u64),
        ByteSize(most.unwrap_or_default())
    );
    listed.iter().map(line).chain([rest]).collect()
}

/// One line for a profile: `recorded x.memprof: peak 12.3 MiB heap (0.2 % of this machine's
/// memory), …`.
///
/// `machine` is the machine's memory in bytes, 0 if unknown; paths in `folder` are shown relative
/// to it.
fn recorded_line(profile: &Recorded, machine: u64, folder: &Path) -> String {
    let mut line = format!(
        "recorded {}{}: peak {} heap",
        shown(&profile.path, folder),
        if profile.is_running {
            " so far, as the program still runs"
        } else {
            ""
        },
        ByteSize(profile.peak)
    );
    if machine > 0 {
        let percent = 100.0 * profile.peak as f64 / machine as f64;
        let share = if percent < 0.1 {
            "less than 0.1 %".to_owned()
        } else {
            format!("{percent:.1} %")
        };
        let _ = write!(line, " ({share} of this machine's memory)");
    }
    if let Some(before) = profile.before_fork {
        let _ = write!(line, ", {} of it from before the fork", ByteSize(before));
    }
    for (name, peak) in &profile.other_heaps {
        let peak = ByteSize((*peak).max(0).unsigned_abs());
        let _ = write!(
            line,
            ", {peak} in the heap {}",
            shown(Path::new(name), folder)
        );
    }
    let _ = write!(
        line,
        ", {} allocations, {} stacks, {}",
        Count(profile.allocations),
        Count(profile.stacks),
        losses(&profile.losses)
    );
    line
}

/// The line with the command to type next; `subcommand` is `report` or `summary`.
pub fn next_line(subcommand: &str, profile: &Recorded, folder: &Path) -> String {
    format!(
        "next: memprof {subcommand} {}",
        shown(&profile.path, folder)
    )
}

fn losses(losses: &[Loss]) -> String {
    if losses.is_empty() {
        return "no losses".to_owned();
    }
    let each = (losses.iter()).map(|loss| format!("{} {}", Count(loss.count), loss.what));
    format!("losses: {}", each.collect::<Vec<_>>().join(", "))
}

/// `path` as a word of a shell command: as it is, or quoted, so that it can be copied and cannot
/// act on the terminal.
fn shown(path: &Path, folder: &Path) -> String {
    let path = path.strip_prefix(folder).unwrap_or(path);
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
    // A name that starts with a dash would be taken for an option.
    let dash = path.as_os_str().as_encoded_bytes().starts_with(b"-");
    let start = if dash { "./" } else { "" };
    match path.to_str() {
        Some(text) if text.chars().all(plain) => format!("{start}{text}"),
        Some(text) if !text.chars().any(char::is_control) => {
            format!("'{start}{}'", text.replace('\'', r"'\''"))
        }
        _ => {
            let escaped = path.as_os_str().as_encoded_bytes().escape_ascii();
            format!("$'{start}{escaped}'")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn profile() -> Recorded {
        Recorded {
            path: "/home/me/app.42.memprof".into(),
            peak: 12_897_485,
            allocations: 1_234_567,
            stacks: 321,
            ..Recorded::of_nothing(42, 0)
        }
    }

    #[test]
    fn says_what_was_recorded_and_what_comes_next() {
        let folder = Path::new("/home/me");
        insta::assert_snapshot!(recorded_line(&profile(), 8 << 30, folder), @"recorded app.42.memprof: peak 12.3 MiB heap (0.2 % of this machine's memory), 1,234,567 allocations, 321 stacks, no losses");
        let mut python = profile();
        python.other_heaps = vec![("mapped".to_owned(), 31_457_280)];
        insta::assert_snapshot!(recorded_line(&python, 0, folder), @"recorded app.42.memprof: peak 12.3 MiB heap, 30.0 MiB in the heap mapped, 1,234,567 allocations, 321 stacks, no losses");
        insta::assert_snapshot!(next_line("report", &profile(), folder), @"next: memprof report app.42.memprof");
    }

    #[test]
    fn many_programs_have_a_few_lines() {
        let profiles = |count: usize| -> Vec<_> {
            let peak = |number| 1_000_000 - number as u64;
            (0..count)
                .map(|number| Recorded {
                    peak: peak(number),
                    ..profile()
                })
                .collect()
        };
        let lines = |count| recorded_lines(&profiles(count), 0, Path::new("/home/me"));
        assert_eq!(lines(9).len(), 9);
        let many = lines(40);
        assert_eq!(many.len(), 9);
        insta::assert_snapshot!(many[8], @"and 32 profiles more, each with a peak of at most 976.6 KiB");
    }

    #[test]
    fn says_what_all_take_and_what_was_removed() {
        let two = [profile(), profile()];
        insta::assert_snapshot!(all_line(&two, 5 << 20, Path::new("/home/me")), @"all 2 profiles take 5.0 MiB on disk; as one: memprof report --run 1, a line for each: memprof processes --run 1");
        insta::assert_snapshot!(all_line(&two, 5 << 20, Path::new("/home")), @"all 2 profiles take 5.0 MiB on disk");
        assert_eq!(removed_line(&Removed::default()), None);
        let removed = Removed {
            profiles: 1,
            bytes: 4096,
            most: 700,
        };
        insta::assert_snapshot!(removed_line(&removed).unwrap(), @"removed 1 profile as asked for, each with a peak of at most 700 B: 4.0 KiB on disk");
    }

    #[test]
    fn says_what_goes_on() {
        let profile = Recorded {
            is_running: true,
            ..profile()
        };
        insta::assert_snapshot!(recorded_line(&profile, 0, Path::new("/home/me")), @"recorded app.42.memprof so far, as the program still runs: peak 12.3 MiB heap, 1,234,567 allocations, 321 stacks, no losses");
    }

    #[test]
    fn says_every_loss() {
        let losses = vec![
            Loss {
                count: 2000,
                what: "frames of unknown modules",
            },
            Loss {
                count: 1,
                what: "attempts to grow the profile that failed",
            },
        ];
        let profile = Recorded {
            losses,
            peak: 100,
            ..profile()
        };
        insta::assert_snapshot!(recorded_line(&profile, 8 << 30, Path::new("/")), @"recorded home/me/app.42.memprof: peak 100 B heap (less than 0.1 % of this machine's memory), 1,234,567 allocations, 321 stacks, losses: 2,000 frames of unknown modules, 1 attempts to grow the profile that failed");
    }

    #[test]
    fn paths_are_words_of_a_shell() {
        let shown = |path: &[u8]| shown(Path::new(OsStr::from_bytes(path)), Path::new("/home"));
        assert_eq!(shown(b"/home/a-b.1.memprof"), "a-b.1.memprof");
        assert_eq!(shown(b"/tmp/it's here"), r"'/tmp/it'\''s here'");
        assert_eq!(shown(b"/home/\x1b[2J"), r"$'\x1b[2J'");
        assert_eq!(shown(b"/home/-o.memprof"), "./-o.memprof");
    }
}
