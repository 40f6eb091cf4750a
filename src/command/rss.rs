//! `memprof rss`: where the resident memory was.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, bail};

use super::load::{Input, Output};
use crate::render::{RssJson, RssText};
use crate::report::{Resident, ResidentAccount, ResidentLines};

/// Show where the resident memory was: heap in use, what the allocator keeps, what was mapped, at
/// the highest and at the end. The parts add up to the resident set size.
#[derive(clap::Args, Debug)]
pub struct RssArgs {
    #[command(flatten)]
    input: Input,
    /// Show this moment instead: highest, end, or a time since the start, such as 90s or 2min; may
    /// be given several times
    #[arg(long, value_name = "MOMENT")]
    at: Vec<Moment>,
    /// Show at most N lines that asked for memory and did not touch it
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Write this form
    #[arg(long, value_enum, default_value_t)]
    format: RssFormat,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum RssFormat {
    /// For people
    #[default]
    Text,
    /// For programs: all accounts; see docs/json.md
    Json,
}

/// Which account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Moment {
    Highest,
    End,
    /// Nanoseconds since the start.
    Time(u64),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Moment, String> {
        match text {
            "highest" | "peak" => return Ok(Moment::Highest),
            "end" => return Ok(Moment::End),
            _ => {}
        }
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
        let seconds = match unit.trim() {
            "ms" => 1e-3,
            "s" | "" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return Err("give highest, end, or a time such as 1.5s, 2min or 1h".to_owned()),
        };
        match number.parse::<f64>() {
            Ok(number) => Ok(Moment::Time((number * seconds * 1e9) as u64)),
            Err(_) => Err("give highest, end, or a time such as 1.5s, 2min or 1h".to_owned()),
        }
    }
}

impl Moment {
    fn of(self, resident: &Resident) -> anyhow::Result<&ResidentAccount> {
        let found = match self {
            Moment::Highest => resident.highest(),
            Moment::End => resident.accounts.last(),
            Moment::Time(time_ns) => resident.at(time_ns),
        };
        found.with_context(|| {
            let first = resident
                .accounts
                .first()
                .map_or(0, |account| account.time_ns);
            format!(
                "nothing is known of that moment: the first account was taken after {:.3} s",
                first as f64 / 1e9
            )
        })
    }
}

pub fn run(args: RssArgs) -> anyhow::Result<ExitCode> {
    let mut loaded = args.input.load()?;
    if loaded.profile.is_merged() {
        bail!("an account of resident memory is of one process: name the profile of one");
    }
    let resident = Resident::new(&loaded.profile, loaded.defects.clone());
    if resident.accounts.is_empty() {
        bail!(
            "the profile says nothing of resident memory: the program was killed in its first \
             moments, was recorded with `--account-interval off` or by an older recorder, or the \
             system has no /proc/self/smaps"
        );
    }
    let mut shown = match args.at.as_slice() {
        [] => resident.highest_and_last(),
        asked => {
            let found: anyhow::Result<Vec<_>> =
                asked.iter().map(|moment| moment.of(&resident)).collect();
            found?
        }
    };
    shown.dedup();
    // Only of the last account is it known which lines are behind it.
    let is_last = shown.iter().any(|account| account.is_last);
    let lines = ResidentLines::new(loaded.profile, &loaded.symbols, &mut loaded.sources);
    Output::to(args.output.as_deref()).write(|out| match args.format {
        RssFormat::Text => {
            let text = RssText { top: args.top };
            text.rss(&resident, &shown, is_last.then_some(&lines), out)
        }
        RssFormat::Json => RssJson.rss(&resident, &lines, out),
    })
}
