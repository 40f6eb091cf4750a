//! Cells of CSV that a spreadsheet shows and never runs.

use std::borrow::Cow;
use std::io;

use super::escape::escape;

/// A cell of text. A spreadsheet would run a formula that comes from a profile or a source file: a
/// quote mark before it makes it text.
pub(crate) fn text(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        "'"
    } else {
        ""
    };
    // Tabs are as common in source as they are harmless in a cell.
    let lines: Vec<Cow<'_, str>> = text.split('\t').map(escape).collect();
    format!("{guard}{}", lines.join("\t"))
}

/// What the system said. As it is converted by default, a reader that went away (a broken pipe) is
/// not recognised.
pub(crate) fn unwrapped(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
