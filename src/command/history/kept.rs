//! What each action does with the file of runs.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{bail, ensure};

use super::{Action, HistoryArgs, Save, TrendArgs};
use crate::command::load::Output;
use crate::history::{History, Label, Run, Subject, Trend, plot};
use crate::render::{Renderer, Text, escape::escape, format};
use crate::report::diff::Diff;
use crate::report::{Report, Scope, Selection};

pub fn act(args: HistoryArgs) -> anyhow::Result<ExitCode> {
    let db = args.db.as_path();
    match args.action {
        Action::Save(save) => keep(db, save),
        Action::List => list(db),
        Action::Show { run, function } => show(db, &run, function),
        Action::Diff { base, new, show } => {
            let history = History::open_existing(db)?;
            let base = history.report(history.find(&base)?)?;
            let new = history.report(history.find(&new)?)?;
            show.show(Diff::new(base, new))
        }
        Action::Rm { runs } => remove(db, &runs),
        Action::Trend(trend) => follow(db, trend),
    }
}

fn keep(db: &Path, save: Save) -> anyhow::Result<ExitCode> {
    let mut loaded = save.input.load()?;
    let scope = if save.all { Scope::All } else { Scope::User };
    let mut report = Report::new(
        &loaded.profile,
        &loaded.symbols,
        &mut loaded.sources,
        scope,
        loaded.defects,
    );
    report.select(&Selection::default())?;
    let (commit, dirty) = match save.commit {
        Some(commit) => (commit, false),
        None => commit(),
    };
    let label = Label {
        commit,
        dirty,
        tags: save.tags,
    };
    let id = History::open(db)?.save(&report, &label)?;
    eprintln!("memprof: saved as run #{id} in {}", db.display());
    eprintln!("memprof: next: memprof history diff last~1, memprof history trend");
    Ok(ExitCode::SUCCESS)
}

/// The commit checked out here, and whether there are changes beside it; empty where git knows
/// nothing.
fn commit() -> (String, bool) {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .stdin(Stdio::null())
            .output();
        let output = output.ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    match git(&["rev-parse", "HEAD"]) {
        Some(commit) => {
            let changes = git(&["status", "--porcelain", "--untracked-files=no"]);
            (commit, changes.is_some_and(|changes| !changes.is_empty()))
        }
        None => (String::new(), false),
    }
}

fn list(db: &Path) -> anyhow::Result<ExitCode> {
    let runs = History::open_existing(db)?.runs()?;
    Output::Stdout.write(|out| {
        writeln!(
            out,
            "{:>5}  {:<23}  {:<12}  {:>12}  {:>12}  {:>12}  Program, tags",
            "Run", "Recorded", "Commit", "Peak", "Live", "Allocated"
        )?;
        for run in &runs {
            row(run, out)?;
        }
        Ok(())
    })
}

fn row(run: &Run, out: &mut dyn Write) -> io::Result<()> {
    let commit: String = run.commit.chars().take(10).collect();
    let dirty = if run.dirty { "+" } else { "" };
    let tags: Vec<String> = (run.tags.iter())
        .map(|tag| format!("[{}]", escape(tag)))
        .collect();
    let text = format!(
        "{:>5}  {:<23}  {:<12}  {:>12}  {:>12}  {:>12}  {} {}",
        format!("#{}", run.id),
        format::date(run.started_unix_ns),
        format!("{}{dirty}", escape(&commit)),
        format::bytes(run.peak),
        format::bytes(run.heap),
        format::bytes(run.allocated),
        escape(&run.program),
        tags.join(" "),
    );
    writeln!(out, "{}", text.trim_end())
}

fn show(db: &Path, run: &str, function: Option<String>) -> anyhow::Result<ExitCode> {
    let history = History::open_existing(db)?;
    let mut report = history.report(history.find(run)?)?;
    report.select(&Selection {
        function,
        ..Selection::default()
    })?;
    Output::Stdout.write(|out| Text::default().report(&report, out))
}

fn remove(db: &Path, runs: &[String]) -> anyhow::Result<ExitCode> {
    let mut history = History::open_existing(db)?;
    // `last~1` means the same for each.
    let ids = runs
        .iter()
        .map(|run| history.find(run))
        .collect::<Result<Vec<_>, _>>()?;
    for id in ids {
        history.remove(id)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn follow(db: &Path, args: TrendArgs) -> anyhow::Result<ExitCode> {
    let history = History::open_existing(db)?;
    let (title, subject) = match (args.function, args.line) {
        (Some(function), _) => (function.clone(), Subject::Function(function)),
        (None, Some(line)) => {
            let place = line.rsplit_once(':');
            let place = place.and_then(|(file, number)| Some((file, number.parse().ok()?)));
            let Some((file, number)) = place else {
                bail!("`{line}` is no line: write FILE:LINE, such as src/main.rs:12");
            };
            let Some((contents, function)) = history.line(file, number)? else {
                bail!("no run has {line}; `memprof history show last` shows files and lines");
            };
            let title = format!("{line} {function}: {contents}");
            (title, Subject::Line { function, contents })
        }
        (None, None) => ("whole program".to_owned(), Subject::Whole),
    };
    let points = history.trend(&Trend {
        metric: args.of,
        subject,
    })?;
    ensure!(
        points.iter().any(|point| point.value.is_some()),
        "no run has {} of {title}; `memprof history list` lists the runs, `show last` their functions",
        args.of.name()
    );
    let output = Output::to(args.output.as_deref());
    match output {
        Output::File(_) => output.write(|out| plot::svg(&title, args.of, &points, out)),
        Output::Stdout => output.write(|out| plot::text(&title, args.of, &points, out)),
    }
}
