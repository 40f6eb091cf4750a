//! Recording a program: all steps in order, and the last lines.

use std::ffi::OsString;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::bail;
use profiler_alloc_format::env::{Forks, Only};

use super::RunArgs;
use crate::command::load::{Input, Output};
use crate::command::{many, report};
use crate::render::LastWords;
use crate::report::Summary;
use crate::run::{
    Mechanism, OomKiller, PRELOAD, ProfileOutput, Program, ProgramError, Recorded, Removed,
    Request, RunId, Wanted, child, closing, give_back, keep_wanted, main_profile, note_deaths,
    note_sources, on_disk, preload,
};

/// Runs the program; the exit code is the program's own.
pub fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let (name, arguments) = args
        .command
        .split_first()
        .ok_or_else(|| anyhow::anyhow!("no program given: write `memprof run -- PROGRAM`"))?;
    let program = match Program::find(name, std::env::var_os("PATH").as_deref()) {
        Ok(program) => program,
        Err(error) => return Ok(cannot_run(&error)),
    };
    let mechanism = Mechanism::of(&program.path);
    let only = args.only.unwrap_or_else(|| only(&program, arguments));
    let is_preloaded = match mechanism {
        // Its C libraries are recorded then.
        Mechanism::Crate => args.preload,
        Mechanism::Preload => {
            let is_cargo = program.path.file_name() == Some("cargo".as_ref());
            !args.no_preload && (args.preload || !is_cargo || only == Only::Tests)
        }
        Mechanism::Neither(_) => false,
    };
    let preload = match is_preloaded.then(preload::library).transpose() {
        Ok(library) => library.map(|library| {
            let before = std::env::var_os(PRELOAD);
            preload::variable(&library, before.as_deref())
        }),
        Err(error) => {
            say(&error.to_string());
            None
        }
    };
    let run_id = RunId::random();
    let recording = args.recording;
    let output = ProfileOutput::prepare(recording.output.as_deref(), recording.overwrite, run_id)?;
    let request = Request {
        preload,
        forks: match args.no_fork {
            true => Forks::Left,
            false => Forks::Recorded,
        },
        only,
        ..recording.request(output.pattern(), run_id)
    };
    let mut command = Command::new(&program.path);
    command
        .arg0(&program.name)
        .args(arguments)
        .envs(request.variables());
    let killer = OomKiller::watch();
    let (status, pid) = match child::run(&mut command) {
        Ok(ended) => ended,
        Err(error) => {
            let path = program.path;
            return Ok(cannot_run(&ProgramError::Refused { path, error }));
        }
    };
    let code = child::exit_code(status);
    let kills = killer.and_then(|killer| killer.kills());
    let profiles = output.profiles(run_id);
    if profiles.is_empty() && only == Only::Tests {
        say(closing::NO_TEST);
        return Ok(ExitCode::from(code));
    }
    if profiles.is_empty() {
        let name = program.name.to_string_lossy();
        let mechanism = (mechanism != Mechanism::Preload || is_preloaded).then_some(mechanism);
        say(&closing::nothing_recorded(&name, mechanism));
        return Ok(ExitCode::from(code));
    }
    let killed = note_deaths(&profiles, (pid, status), kills);
    killed.into_iter().for_each(say_last_words);
    let wanted = Wanted {
        keep: args.keep.map(NonZeroUsize::get),
        min_peak: args.min_peak.unwrap_or_default(),
    };
    let (mut profiles, removed) = keep_wanted(profiles, wanted);
    note_sources(&profiles);
    if !args.merge {
        give_back(&profiles);
    }
    if let Some(line) = closing::removed_line(&removed) {
        say(&line);
    }
    if args.merge {
        let target = output.merged(&program.path, pid);
        match merged(&profiles, &target) {
            Ok(merged) => profiles = merged,
            Err(error) => say(&format!("the profiles are not merged: {error:#}")),
        }
    }
    let reported = close(&profiles, pid, args.report);
    // The program's own failure matters more than ours.
    if code == 0 {
        reported?;
    }
    Ok(ExitCode::from(code))
}

/// Merges the profiles of programs that have ended into the file `target`, and removes them. Gives
/// that one and those of programs that go on.
fn merged(profiles: &[Recorded], target: &Path) -> anyhow::Result<Vec<Recorded>> {
    let (mut ended, running): (Vec<Recorded>, Vec<Recorded>) =
        (profiles.iter().cloned()).partition(|profile| profile.has_ended);
    if ended.len() < 2 {
        return Ok(profiles.to_vec());
    }
    let is_part = ended.iter().any(|part| part.path == target);
    if !is_part && target.exists() {
        let shown = target.display();
        bail!("{shown} is there already; merge them with `memprof merge --run 1 -o FILE`");
    }
    let paths: Vec<PathBuf> = ended.iter().map(|part| part.path.clone()).collect();
    let (profile, _) = many::merge(&paths)?.finish();
    let bytes = profile.to_bytes();
    Output::to(Some(target)).write_private(|out| out.write_all(&bytes))?;
    ended.retain(|part| part.path != target);
    let left = Removed::default().remove(ended);
    let merged = Recorded::read(target, |_| true);
    Ok(merged.into_iter().chain(left).chain(running).collect())
}

/// Of `cargo nextest`, the tests: the compiler and the runner itself are not what it is run for.
fn only(program: &Program, arguments: &[OsString]) -> Only {
    let name = program.path.file_name().unwrap_or_default();
    // `cargo +nightly nextest run`.
    let is_choice = |word: &&OsString| !word.as_encoded_bytes().starts_with(b"+");
    let first = arguments.iter().find(is_choice);
    let is_nextest = name == "cargo-nextest" || name == "cargo";
    match is_nextest && first.is_some_and(|word| word == "nextest") {
        true => Only::Tests,
        false => Only::All,
    }
}

fn cannot_run(error: &ProgramError) -> ExitCode {
    say(&error.to_string());
    ExitCode::from(error.exit_code())
}

/// Says how the program of a profile was killed, and what held its memory. A profile that cannot be
/// read is one that every other view says more of.
fn say_last_words(profile: &Recorded) {
    let input = Input::of(profile.path.clone());
    let Ok(mut loaded) = input.load() else {
        return;
    };
    let summary = Summary::new(
        &loaded.profile,
        &loaded.symbols,
        &mut loaded.sources,
        loaded.defects,
    );
    if let Some(words) = LastWords.of(&summary) {
        say(&words);
    }
}

/// Prints the reports if they are asked for, then the last lines.
fn close(profiles: &[Recorded], pid: u32, report: bool) -> anyhow::Result<()> {
    let Some(main) = main_profile(profiles, pid) else {
        return Ok(());
    };
    let reported = if report {
        profiles.iter().try_for_each(|profile| {
            report::run(report::ReportArgs::from(profile.path.clone())).map(drop)
        })
    } else {
        Ok(())
    };
    let folder = std::env::current_dir().unwrap_or_default();
    let machine = machine_memory();
    for line in closing::recorded_lines(profiles, machine, &folder) {
        say(&line);
    }
    if profiles.len() > 1 {
        let on_disk = profiles.iter().map(|profile| on_disk(&profile.path)).sum();
        say(&closing::all_line(profiles, on_disk, &folder));
    }
    let next = if report { "summary" } else { "report" };
    say(&closing::next_line(next, main, &folder));
    reported
}

/// The machine's memory in bytes, 0 if unknown.
fn machine_memory() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    system.total_memory()
}

/// Says a line of our own, beside whatever the program wrote. A closed stderr must not end the run.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "memprof: {text}");
}
