//! The help texts are those in `docs/commands.md`, and completions and man pages are made from the
//! same definition.
//!
//! `MEMPROF_UPDATE_DOCS=1 cargo test --test analyst manual` writes the page anew.

use crate::skip::skip;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// All commands, in the order of `memprof --help`.
const COMMANDS: &[&str] = &[
    "",
    "run",
    "attach",
    "mark",
    "ps",
    "report",
    "summary",
    "diff",
    "merge",
    "processes",
    "live",
    "tree",
    "flamegraph",
    "timeline",
    "rss",
    "leaks",
    "temporary",
    "contexts",
    "types",
    "export",
    "history",
    "history save",
    "history list",
    "history show",
    "history diff",
    "history rm",
    "history trend",
    "clean",
    "serve",
    "push",
    "completions",
    "manpages",
];

fn memprof(arguments: &[&str]) -> Output {
    let output = (Command::new(env!("CARGO_BIN_EXE_memprof")).args(arguments))
        .stdin(std::process::Stdio::null())
        // What help texts depend on.
        .env("COLUMNS", "100")
        .env_remove("CLICOLOR_FORCE")
        .env_remove("MEMPROF_HISTORY")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    output
}

fn page() -> String {
    let mut page = "\
# The commands

The help of every command, as `memprof COMMAND --help` prints it. This page is made by a test: see `tests/analyst/manual.rs`.
"
    .to_owned();
    for command in COMMANDS {
        let arguments: Vec<&str> = command.split(' ').filter(|part| !part.is_empty()).collect();
        let output = memprof(&[&arguments[..], &["--help"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        let title = ["memprof", command].join(" ");
        page += &format!(
            "\n## {}\n\n```text\n{}\n```\n",
            title.trim_end(),
            lines.join("\n")
        );
    }
    page
}

#[test]
fn the_page_of_commands_is_what_they_print() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/commands.md");
    let page = page();
    if std::env::var_os("MEMPROF_UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == page,
        "docs/commands.md is not what the commands print: MEMPROF_UPDATE_DOCS=1 cargo test --test analyst manual writes it anew"
    );
}

#[test]
fn every_command_is_on_the_page() {
    let output = memprof(&["--help"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let commands = text.split("Commands:\n").nth(1).unwrap();
    let commands = commands.split("\n\n").next().unwrap().lines();
    let named = commands.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let named: Vec<&str> = named
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(named.len() >= 11, "{named:?}");
    for name in named.into_iter().filter(|name| *name != "help") {
        assert!(COMMANDS.contains(&name), "{name} is missing here");
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = String::from_utf8(memprof(&["completions", shell]).stdout).unwrap();
        for word in ["report", "history", "fail-over"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memprof.bash");
    fs::write(&path, memprof(&["completions", "bash"]).stdout).unwrap();
    match Command::new("bash").arg("-n").arg(&path).status() {
        Ok(status) => assert!(status.success()),
        Err(error) => skip(format!("completions in bash: {error}")),
    }
}

#[test]
fn man_pages_are_written_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    memprof(&["manpages", folder.path().to_str().unwrap()]);
    for name in [
        "memprof.1",
        "memprof-report.1",
        "memprof-history.1",
        "memprof-history-trend.1",
    ] {
        let page = fs::read_to_string(folder.path().join(name)).expect(name);
        assert!(page.contains(".TH "), "{name}");
    }
}
