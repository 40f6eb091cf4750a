//! Runs one program once: its time, its memory, what it printed.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use wait4::Wait4;

use super::subjects::{BYTEHOUND, Subject};

/// What one run took.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub wall_ms: f64,
    /// User and system, children included.
    pub cpu_ms: f64,
    pub peak_kib: u64,
}

/// A command line.
pub struct Line<'a> {
    pub program: &'a Path,
    pub arguments: &'a [String],
    pub folder: &'a Path,
    /// bytehound's library, if it is there.
    pub bytehound: Option<&'a Path>,
}

/// Runs `line` as `subject` says, files going to `folder`. Gives the cost, and the beginning of
/// what was printed.
pub fn run(subject: &Subject, line: &Line<'_>) -> Result<(Cost, Vec<u8>)> {
    let file = line.folder.join("profile");
    clear(line.folder)?;
    let bytehound = line.bytehound.unwrap_or(Path::new(""));
    let fill = |text: &str| {
        text.replace("{file}", &file.to_string_lossy())
            .replace(BYTEHOUND, &bytehound.to_string_lossy())
    };
    let mut words: Vec<OsString> = subject.tool.iter().map(|word| fill(word).into()).collect();
    words.push(line.program.into());
    words.extend(line.arguments.iter().map(OsString::from));
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .envs(
            subject
                .environment
                .iter()
                .map(|(name, value)| (name, fill(value))),
        )
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let printed = line.folder.join("printed");
    command.stdout(File::create(&printed)?);
    let cost = measured(command).with_context(|| format!("{}: {words:?}", subject.name))?;
    // As much as is compared: a program's peak memory includes what the one that started it has
    // ever had.
    let mut output = Vec::new();
    File::open(printed)?.take(4096).read_to_end(&mut output)?;
    clear(line.folder)?;
    Ok((cost, output))
}

/// Runs a command to its end.
fn measured(mut command: Command) -> Result<Cost> {
    let start = Instant::now();
    let usage = command.spawn()?.wait4()?;
    let wall = start.elapsed();
    ensure!(usage.status.success(), "ended with {}", usage.status);
    let cpu = usage.rusage.utime + usage.rusage.stime;
    let cost = Cost {
        wall_ms: wall.as_secs_f64() * 1e3,
        cpu_ms: cpu.as_secs_f64() * 1e3,
        peak_kib: usage.rusage.maxrss / 1024,
    };
    Ok(cost)
}

/// Instructions that the program executes, counted by callgrind.
pub fn instructions(subject: &Subject, line: &Line<'_>) -> Result<u64> {
    let counts = line.folder.join("callgrind");
    let profile = line.folder.join("profile");
    clear(line.folder)?;
    let output = Command::new("valgrind")
        .args(["-q", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .arg(line.program)
        .args(line.arguments)
        .envs(
            (subject.environment.iter())
                .map(|(name, value)| (name, value.replace("{file}", &profile.to_string_lossy()))),
        )
        .output()
        .context("valgrind runs")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = std::fs::read_to_string(&counts)?;
    clear(line.folder)?;
    text.lines()
        .find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok())
        .context("callgrind says the total")
}

/// Removes every file of a folder.
fn clear(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        std::fs::remove_file(entry?.path())?;
    }
    Ok(())
}
