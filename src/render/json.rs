//! Reports and summaries as JSON, described in `docs/json.md`. Bytes are exact integers.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;

use super::Renderer;
use super::escape::is_steering;
use crate::report::{Report, Summary};

/// JSON for programs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Renderer for Json {
    fn report(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        write(report, out)
    }
}

impl Json {
    /// Writes `summary` to `out`.
    pub fn summary(&self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        write(summary, out)
    }
}

fn write(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let json = serde_json::to_string_pretty(value)?;
    let mut shown = String::with_capacity(json.len());
    for char in json.chars() {
        // What JSON leaves alone may still steer a terminal. Such characters stand only within strings, where they may be
        // written by number as well; the line ends between values are the exception.
        if is_steering(char) && char != '\n' {
            for unit in char.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(char);
        }
    }
    writeln!(out, "{shown}")
}
