//! Records an example under `memprof run` and reads the JSON report of it, as the tests see it.
#![allow(dead_code, reason = "each test uses a part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde::Deserialize;
use tempfile::TempDir;

use crate::built::{MEMPROF, example, optimized_example, text};

/// A profile of an example, in a folder of its own.
pub struct Recording {
    folder: TempDir,
    program: PathBuf,
}

impl Recording {
    /// Runs the example to its end, with the options given to `memprof run`.
    pub fn of(example: &'static str, options: &[&str]) -> Recording {
        Self::with_arguments(example, options, &[])
    }

    /// As [`Recording::of`], with arguments for the example itself.
    pub fn with_arguments(
        example: &'static str,
        options: &[&str],
        arguments: &[&str],
    ) -> Recording {
        Recording::prepare(example).run(options, arguments)
    }

    /// As [`Recording::with_arguments`], with the example optimized.
    pub fn of_optimized(example: &str, options: &[&str], arguments: &[&str]) -> Recording {
        Recording::to_be(optimized_example(example)).run(options, arguments)
    }

    fn run(self, options: &[&str], arguments: &[&str]) -> Recording {
        let output = self
            .command(options)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("memprof runs");
        assert!(
            output.status.success(),
            "{}: {}",
            self.program.display(),
            text(&output.stderr)
        );
        self
    }

    /// As [`Recording::with_arguments`], of a program that is no example.
    pub fn of_program(program: PathBuf, options: &[&str], arguments: &[&str]) -> Recording {
        Recording::prepare_program(program).run(options, arguments)
    }

    /// As [`Recording::prepare`], of a program that is no example.
    pub fn prepare_program(program: PathBuf) -> Recording {
        Recording::to_be(program)
    }

    /// A place for a profile of the example, and nothing in it yet.
    pub fn prepare(name: &'static str) -> Recording {
        Recording::to_be(example(name))
    }

    fn to_be(program: PathBuf) -> Recording {
        let folder = tempfile::tempdir().expect("a folder for the profile");
        Recording { folder, program }
    }

    /// The command that records the example.
    pub fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(MEMPROF);
        command
            .arg("run")
            .args(options)
            .arg("-o")
            .arg(self.profile())
            // Where the library to preload is put.
            .env("XDG_CACHE_HOME", self.folder.path());
        command.arg("--").arg(&self.program);
        command
    }

    /// The profile.
    pub fn profile(&self) -> PathBuf {
        self.folder.path().join("x.memprof")
    }

    /// What `memprof report` says of the profile, as it is now.
    pub fn report(&self) -> Report {
        let json = memprof(&["report", "--format", "json"], &self.profile());
        let report: Report = serde_json::from_str(&json).expect("the report's documented shape");
        assert_eq!(report.schema, "memprof-report/1");
        report
    }

    /// What `memprof summary` says of the profile.
    pub fn summary(&self) -> String {
        memprof(&["summary"], &self.profile())
    }

    /// What `memprof leaks` says of it.
    pub fn leaks(&self) -> String {
        memprof(&["leaks"], &self.profile())
    }

    /// The summary as JSON.
    pub fn summary_json(&self) -> serde_json::Value {
        let json = memprof(&["summary", "--format", "json"], &self.profile());
        serde_json::from_str(&json).expect("JSON")
    }
}

fn memprof(command: &[&str], profile: &Path) -> String {
    let output: Output = Command::new(MEMPROF)
        .args(command)
        .arg(profile)
        .output()
        .expect("memprof runs");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// The part of a JSON report that the tests look at.
#[derive(Deserialize, PartialEq, Debug)]
pub struct Report {
    schema: String,
    pub functions: Vec<Function>,
}

/// The table of one function.
#[derive(Deserialize, PartialEq, Debug)]
pub struct Function {
    pub name: String,
    pub file: PathBuf,
    pub lines: Vec<Line>,
}

/// One line of a table; `None` where nothing was seen. Bytes, except for the counts.
#[derive(Deserialize, PartialEq, Debug, Default, Clone)]
pub struct Line {
    pub line: u32,
    pub source: Option<String>,
    pub mem_usage: Option<i64>,
    pub increment: Option<i64>,
    pub allocated: Option<i64>,
    pub freed: Option<i64>,
    pub live: Option<i64>,
    pub peak: Option<i64>,
    pub count: Option<f64>,
    pub temporary: Option<i64>,
    pub reallocated: Option<i64>,
    pub samples: Option<u64>,
    /// In bytes, by the name of the field; none for what is exact.
    #[serde(default)]
    pub standard_error: BTreeMap<String, f64>,
}

impl Line {
    /// Whether anything was seen on the line.
    pub fn is_blank(&self) -> bool {
        let nothing = Line {
            line: self.line,
            source: self.source.clone(),
            ..Line::default()
        };
        *self == nothing
    }
}

impl Report {
    /// The one table of the function.
    pub fn function(&self, name: &str) -> &Function {
        let mut tables = self.functions.iter().filter(|table| table.name == name);
        let names = || {
            self.functions
                .iter()
                .map(|table| &table.name)
                .collect::<Vec<_>>()
        };
        let table = tables.next();
        assert!(tables.next().is_none(), "one table for {name}");
        table.unwrap_or_else(|| panic!("no table for {name}, but for {:?}", names()))
    }
}

impl Function {
    /// The one line of the source file that holds `marker`, as the table has it.
    pub fn line(&self, marker: &str) -> &Line {
        let number = line_number(&self.file, marker);
        let line = self.lines.iter().find(|line| line.line == number);
        line.unwrap_or_else(|| panic!("{} has line {number}: {marker}", self.name))
    }

    /// The increments of the lines that hold the markers.
    pub fn increments<const N: usize>(&self, markers: [&str; N]) -> [Option<i64>; N] {
        markers.map(|marker| self.line(marker).increment)
    }
}

/// Number of the one line of `file` that holds `marker`.
pub fn line_number(file: &Path, marker: &str) -> u32 {
    let source = std::fs::read_to_string(file).expect("the example's source");
    let mut found = (1..)
        .zip(source.lines())
        .filter(|(_, line)| line.contains(marker));
    let (number, _) = found
        .next()
        .unwrap_or_else(|| panic!("a line with {marker}"));
    assert!(found.next().is_none(), "one line with {marker}");
    number
}
