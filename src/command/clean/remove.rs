//! Where programs are recorded.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use super::CleanArgs;
use crate::run::Cleaning;
use crate::units::{ByteSize, Count};

/// Removes what may go, and says what was and what was not.
pub fn run(args: CleanArgs) -> anyhow::Result<ExitCode> {
    let folder = args.folder.as_deref().unwrap_or(Path::new("."));
    let shown = folder.display();
    let cleaning = Cleaning::of(folder, args.keep_runs)
        .with_context(|| format!("cannot list {shown}; name a folder that is there"))?;
    let (removed, failed) = match args.dry_run {
        true => (0, None),
        false => cleaning.remove(),
    };
    let mut out = io::stdout().lock();
    let done = match args.dry_run {
        true => "would remove",
        false => "removed",
    };
    let (number, bytes) = match args.dry_run {
        true => (cleaning.may_go.len(), cleaning.bytes()),
        false if failed.is_none() => (removed, cleaning.bytes()),
        false => (removed, 0),
    };
    let _ = write!(out, "{done} {}", profiles(number));
    if bytes > 0 {
        let _ = write!(out, " ({} on disk)", ByteSize(bytes));
    }
    let _ = writeln!(out);
    for (number, why) in [
        (cleaning.running, "its process runs, or may"),
        (cleaning.of_last_runs, "of the last runs"),
        (cleaning.made, "a copy, or merged"),
        (cleaning.others, "no profile at all"),
    ] {
        if number > 0 {
            let _ = writeln!(out, "kept {}: {why}", files(number));
        }
    }
    match failed {
        Some((path, error)) => {
            let path = path.display();
            Err(error).with_context(|| {
                format!("cannot remove {path}; it belongs to another user, or so does its folder")
            })
        }
        None => Ok(ExitCode::SUCCESS),
    }
}

fn profiles(number: usize) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} profile{s}", Count(number as u64))
}

fn files(number: usize) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} file{s}", Count(number as u64))
}
