//! The heap at earlier moments, against the ledger that a program keeps itself.

mod built;
mod recording;

use std::collections::BTreeMap;
use std::process::Stdio;

use memprof::profile::{self, Profile, View, When};
use memprof::report::{Report, Scope};
use memprof::source::Sources;
use memprof::symbolize::{SymbolizeOptions, Symbols, symbolize};
use recording::Recording;

const ROUNDS: usize = 20;
const KINDS: [&str; 8] = [
    "table", "peak", "cache", "phase", "leak", "handed", "worked", "grown",
];

/// What the example says it did: kind, rounds of the allocation and of the free, bytes.
struct Ledger(Vec<(String, usize, Option<usize>, i64)>);

impl Ledger {
    fn parse(text: &str) -> Ledger {
        let entry = |line: &str| {
            let mut parts = line.split(' ');
            let mut next = || parts.next().expect("four parts");
            let (kind, born, freed, bytes) = (next(), next(), next(), next());
            (
                kind.to_owned(),
                born.parse().expect("a round"),
                freed.parse().ok(),
                bytes.parse().expect("bytes"),
            )
        };
        Ledger(text.lines().map(entry).collect())
    }

    /// Bytes of each kind live when round `at` ended, of what was allocated after the end of round
    /// `since`, and how many blocks.
    fn live(&self, since: Option<usize>, at: usize) -> BTreeMap<&str, (i64, i64)> {
        let mut live = BTreeMap::new();
        for (kind, born, freed, bytes) in &self.0 {
            let is_live = *born <= at && freed.is_none_or(|freed| freed > at);
            if is_live && since.is_none_or(|since| *born > since) {
                let sum: &mut (i64, i64) = live.entry(kind.as_str()).or_default();
                *sum = (sum.0 + bytes, sum.1 + 1);
            }
        }
        live
    }
}

/// The example, recorded; its ledger, and the profile with its names.
struct Recorded {
    recording: Recording,
    ledger: Ledger,
    profile: Profile,
    symbols: Symbols,
}

impl Recorded {
    fn with(options: &[&str]) -> Recorded {
        let recording = Recording::prepare("moments");
        let output = recording.command(options).stdin(Stdio::null()).output();
        let output = output.expect("memprof runs");
        let said = built::text(&output.stderr);
        assert!(output.status.success(), "{said}");
        let (profile, defects) = profile::read(&recording.profile()).expect("a profile");
        assert_eq!(defects, []);
        let (symbols, _) = symbolize(&profile, &SymbolizeOptions::default()).expect("names");
        Recorded {
            recording,
            ledger: Ledger::parse(&built::text(&output.stdout)),
            profile,
            symbols,
        }
    }

    /// Bytes and blocks of each kind, as a report of that view has them, and the standard error of
    /// the bytes.
    fn live(&self, view: &View) -> BTreeMap<&'static str, (i64, i64, f64)> {
        let mut profile = self.profile.clone();
        profile.look_at(view).expect("there is such a moment");
        let mut sources = Sources::new(Default::default());
        let report = Report::new(
            &profile,
            &self.symbols,
            &mut sources,
            Scope::User,
            Vec::new(),
        );
        let figures = |kind: &'static str| {
            let function = format!("moments::{kind}");
            let mut tables = report.tables.iter();
            let table = tables.find(|table| table.function == function)?;
            let live = table.total.live;
            (live.bytes != 0).then_some((
                kind,
                (live.bytes, table.total.live_count, live.standard_error),
            ))
        };
        KINDS.into_iter().filter_map(figures).collect()
    }
}

fn round(number: usize) -> Option<When> {
    Some(When::Named(format!("round {number}")))
}

#[test]
fn every_moment_is_what_the_ledger_says_to_the_byte() {
    let recorded = Recorded::with(&["--sample", "all"]);
    let mut pairs = 0;
    for at in 0..ROUNDS {
        for since in (0..at).map(Some).chain([None]) {
            let view = View {
                at: round(at),
                since: since.and_then(round),
            };
            let found = recorded.live(&view).into_iter();
            let found: BTreeMap<_, _> = found
                .map(|(kind, (bytes, blocks, _))| (kind, (bytes, blocks)))
                .collect();
            assert_eq!(found, recorded.ledger.live(since, at), "{view:?}");
            pairs += 1;
        }
    }
    assert_eq!(pairs, 210);
    // The clock has taken some as well.
    let on_beat = recorded.profile.moments.all.iter();
    assert!(on_beat.filter(|moment| moment.mark.is_none()).count() >= 1);
    drop(recorded.recording);
}
