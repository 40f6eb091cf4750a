//! Everything that was measured, as `--json` writes it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// One whole measurement.
#[derive(Serialize, Deserialize, Debug)]
pub struct Results {
    pub machine: Machine,
    /// A quarter of the work only.
    pub quick: bool,
    /// What could not be measured, and why.
    pub notes: Vec<String>,
    pub counted: Vec<Counted>,
    pub runs: Vec<Run>,
}

/// Where and when.
#[derive(Serialize, Deserialize, Debug)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub kernel: String,
    pub rustc: String,
    pub date: String,
    /// Processes that wanted to run when the measurement began; more than one or two, and times
    /// mean little.
    pub load: f64,
}

/// Instructions of one program.
#[derive(Serialize, Deserialize, Debug)]
pub struct Counted {
    pub workload: String,
    pub subject: String,
    pub base: String,
    pub amount: usize,
    pub instructions: u64,
}

/// One run of one program.
#[derive(Serialize, Deserialize, Debug)]
pub struct Run {
    pub case: String,
    pub threads: usize,
    pub subject: String,
    pub base: String,
    pub round: usize,
    pub wall_ms: f64,
    pub cpu_ms: f64,
    pub peak_kib: u64,
}

impl Results {
    /// Nothing yet, on this machine.
    pub fn here(quick: bool) -> Results {
        Results {
            machine: Machine::this(),
            quick,
            notes: Vec::new(),
            counted: Vec::new(),
            runs: Vec::new(),
        }
    }

    pub fn read(file: &Path) -> Result<Results> {
        let text = fs::read(file).with_context(|| file.display().to_string())?;
        Ok(serde_json::from_slice(&text)?)
    }

    pub fn write(&self, file: &Path) -> Result<()> {
        fs::write(file, serde_json::to_vec_pretty(self)?)
            .with_context(|| file.display().to_string())
    }
}

impl Machine {
    fn this() -> Machine {
        let first = |command: &str, argument: &str| {
            let output = Command::new(command).arg(argument).output();
            let text = output.map(|output| output.stdout).unwrap_or_default();
            String::from_utf8_lossy(&text).trim().to_owned()
        };
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Machine {
            processor: model.map_or("unknown", |(_, name)| name).to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: first("uname", "-r"),
            rustc: first("rustc", "-V"),
            date: first("date", "+%F"),
            load: load
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or_default(),
        }
    }
}
