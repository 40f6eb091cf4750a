//! Where a subcommand writes: standard output, or a file that is there whole or not at all.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::StripStream;
use anyhow::Context;
use tempfile::NamedTempFile;

use crate::system;

/// Where output goes.
pub enum Output<'a> {
    /// Standard output, in colour if it is a terminal that wants it.
    Stdout,
    /// A file, in plain text.
    File(&'a Path),
}

impl<'a> Output<'a> {
    /// Standard output, unless a file is named; `-` is standard output too, as in other programs,
    /// and `./-` a file.
    pub fn to(file: Option<&'a Path>) -> Output<'a> {
        match file {
            Some(file) if file != Path::new("-") => Output::File(file),
            _ => Output::Stdout,
        }
    }

    /// Whether this is standard output.
    pub fn is_stdout(&self) -> bool {
        matches!(self, Output::Stdout)
    }

    /// Lets `write` write a picture or a page: bytes that are no text for a terminal.
    pub fn write_raw(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<ExitCode> {
        match self {
            Output::Stdout => to_stdout(io::stdout().lock(), write),
            Output::File(path) => to_file(path, |file| buffered(file, write)),
        }
    }

    /// The same where only the user may read and write a new file, as it is of profiles.
    pub fn write_private(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<ExitCode> {
        match self {
            Output::Stdout => self.write_raw(write),
            Output::File(path) => to_file(path, |file| {
                if let Some(private) = system::private_file_permissions() {
                    file.set_permissions(private)?;
                }
                buffered(file, write)
            }),
        }
    }

    /// Lets `write` write text. A reader that went away, as in `memprof report | head`, is no
    /// error.
    pub fn write(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<ExitCode> {
        match self {
            Output::Stdout => to_stdout(anstream::stdout().lock(), write),
            Output::File(path) => to_file(path, |file| buffered(StripStream::new(file), write)),
        }
    }
}

fn to_stdout(
    stdout: impl Write,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<ExitCode> {
    let result = buffered(stdout, write);
    reader_may_leave(result).context("cannot write to standard output; -o FILE writes to a file")
}

fn to_file(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> anyhow::Result<ExitCode> {
    let shown = path.display();
    let create =
        || format!("cannot create {shown}; name another file with -o, in a folder that is there");
    let there = fs::metadata(path).ok();
    if there.as_ref().is_some_and(|there| !there.is_file()) {
        // A device or a pipe cannot be put in place of anything.
        let device = OpenOptions::new().write(true).open(path);
        let result = write(&mut device.with_context(create)?);
        return reader_may_leave(result)
            .with_context(|| format!("cannot write to {shown}; name a file with -o"));
    }
    let (mut draft, target) = draft(path, there.as_ref()).with_context(create)?;
    let written = write(draft.as_file_mut());
    // A draft that is dropped is deleted.
    let written = written.and_then(|()| Ok(draft.persist(target)?));
    written.with_context(|| {
        let left = if there.is_some() {
            "it is as it was"
        } else {
            "it was not made"
        };
        format!("cannot write {shown}, so {left}; make room, or name another file with -o")
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A file beside the one at `path`, to be renamed to it once it is whole, and the name to give it.
fn draft(path: &Path, there: Option<&Metadata>) -> io::Result<(NamedTempFile, PathBuf)> {
    // Where there is a link, the file behind it is meant.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = match target.parent() {
        Some(folder) if folder != "" => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".memprof-");
    let Some(there) = there else {
        if let Some(new) = system::new_file_permissions() {
            builder.permissions(new);
        }
        return Ok((builder.tempfile_in(folder)?, target));
    };
    // Renaming asks nobody whether the file may be written.
    OpenOptions::new().write(true).open(&target)?;
    let draft = builder.tempfile_in(folder)?;
    draft.as_file().set_permissions(there.permissions())?;
    Ok((draft, target))
}

fn buffered(
    out: impl Write,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    write(&mut out)?;
    out.flush()
}

fn reader_may_leave(result: io::Result<()>) -> io::Result<ExitCode> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(ExitCode::SUCCESS),
    }
}
