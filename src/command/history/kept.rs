//! What each action does with the file of runs.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{bail, ensure};

use super::{Action, HistoryArgs, Save, TrendArgs};
use crate::command::load::Output;
use crate::history::{History, HistoryError, Label, Run, Subject, Trend, plot};
use crate::render::{ContextsText, Renderer, Text, escape::escape, format};
use crate::report::diff::{ContextParts, Diff, PartChanges};
use crate::report::{Metric, Report, Scope, Selection};

pub fn act(args: HistoryArgs) -> anyhow::Result<ExitCode> {
    let db = args.db.as_path();
    match args.action {
        Action::Save(save) => keep(db, save),
        Action::List => list(db),
        Action::Show {
            run, by: Some(key), ..
        } => show_contexts(db, &run, &key),
        Action::Show { run, function, .. } => show(db, &run, function),
        Action::Diff { base, new, show } => {
            let history = History::open_existing(db)?;
            let (base, new) = (history.find(&base)?, history.find(&new)?);
            let mut diff = Diff::new(history.report(base)?, history.report(new)?);
            if let Some(key) = &show.by {
                diff.contexts = Some(changes(&history, key, base, new)?);
            }
            show.show(diff)
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
    let contexts = ContextParts::all(&loaded.profile);
    let id = History::open(db)?.save(&report, &contexts, &label)?;
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

fn show_contexts(db: &Path, run: &str, key: &str) -> anyhow::Result<ExitCode> {
    let history = History::open_existing(db)?;
    let id = history.find(run)?;
    let mut contexts = history.contexts(id)?.into_iter();
    let Some(contexts) = contexts.find(|contexts| contexts.key == key) else {
        bail!(no_key(&history, key, &[id])?);
    };
    let text = ContextsText {
        top: usize::MAX,
        metric: Metric::Peak,
    };
    Output::Stdout.write(|out| text.parts(&contexts, out))
}

/// Which contexts of `key` changed. One of the two may be of before the program named any.
fn changes(history: &History, key: &str, base: i64, new: i64) -> anyhow::Result<PartChanges> {
    let parts = |run: i64| {
        let mut contexts = history.contexts(run)?.into_iter();
        Ok::<_, HistoryError>(contexts.find(|contexts| contexts.key == key))
    };
    let parts = [parts(base)?, parts(new)?];
    if parts.iter().all(Option::is_none) {
        bail!(no_key(history, key, &[base, new])?);
    }
    let [base, new] = parts.map(|parts| parts.map(|found| found.parts).unwrap_or_default());
    Ok(PartChanges::new(key, &base, &new))
}

/// That no run has contexts of `key`, and of which they have.
fn no_key(history: &History, key: &str, runs: &[i64]) -> anyhow::Result<String> {
    let mut keys: Vec<String> = Vec::new();
    for run in runs {
        keys.extend(
            history
                .contexts(*run)?
                .into_iter()
                .map(|contexts| contexts.key),
        );
    }
    keys.sort();
    keys.dedup();
    let runs: Vec<String> = runs.iter().map(|run| format!("#{run}")).collect();
    let runs = runs.join(", ");
    Ok(match keys.as_slice() {
        [] => format!(
            "no contexts were kept of {runs}; docs/contexts.md says how a program names them"
        ),
        keys => format!(
            "no context of the key {key} was kept of {runs}; there are {}",
            keys.join(", ")
        ),
    })
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
    let (title, subject) = match (args.context, args.function, args.line) {
        (Some(context), ..) => {
            let title = context.to_string();
            let (key, value) = context.into_parts();
            (title, Subject::Context { key, value })
        }
        (None, Some(function), _) => (function.clone(), Subject::Function(function)),
        (None, None, Some(line)) => {
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
        (None, None, None) => ("whole program".to_owned(), Subject::Whole),
    };
    let points = history.trend(&Trend {
        metric: args.of,
        subject,
    })?;
    ensure!(
        points.iter().any(|point| point.value.is_some()),
        "no run has {} of {title}; `memprof history list` lists the runs, `show last` their functions, `show last --by KEY` their contexts",
        args.of.name()
    );
    let output = Output::to(args.output.as_deref());
    match output {
        Output::File(_) => output.write(|out| plot::svg(&title, args.of, &points, out)),
        Output::Stdout => output.write(|out| plot::text(&title, args.of, &points, out)),
    }
}
