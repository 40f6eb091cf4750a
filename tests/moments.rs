//! The heap at earlier moments, against the ledger that a program keeps itself.

mod built;
mod recording;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use memprof::profile::{self, Profile, State, View, When};
use memprof::report::{Report, Scope};
use memprof::source::Sources;
use memprof::symbolize::{SymbolizeOptions, Symbols, symbolize};
use recording::Recording;
use serde_json::Value;

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
    fn with(options: &[&str], arguments: &[&str], code: i32) -> Recorded {
        let recording = Recording::prepare("moments");
        let mut command = recording.command(options);
        let output = command.args(arguments).stdin(Stdio::null()).output();
        let output = output.expect("memprof runs");
        let said = built::text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
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

/// All moments since all others, against the ledger.
fn check_to_the_byte(recorded: &Recorded) {
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
}

#[test]
fn every_moment_is_what_the_ledger_says_to_the_byte() {
    check_to_the_byte(&Recorded::with(&["--sample", "all"], &[], 0));
}

#[test]
fn a_killed_program_has_all_its_moments_to_the_byte() {
    let recorded = Recorded::with(&["--sample", "all"], &["kill"], 128 + 9);
    assert_eq!(recorded.profile.state(), State::Recording);
    check_to_the_byte(&recorded);
}

/// At intervals that make one sample of many blocks: nine in ten figures are within two standard
/// errors, and none is off by six.
#[test]
fn sampled_moments_are_right_within_their_error() {
    let recorded = Recorded::with(&["--sample", "16KiB"], &[], 0);
    let (mut figures, mut within) = (0, 0);
    for at in 0..ROUNDS {
        for since in (0..at).step_by(3).map(Some).chain([None]) {
            let view = View {
                at: round(at),
                since: since.and_then(round),
            };
            let found = recorded.live(&view);
            for (kind, (bytes, _)) in recorded.ledger.live(since, at) {
                let (estimate, _, error) = found.get(kind).copied().unwrap_or_default();
                let off = (estimate - bytes).abs() as f64;
                // Of nothing that was sampled the error is not known: so small are only these.
                let error = error.max((bytes as f64 * 16_384.0).sqrt());
                assert!(
                    off <= 6.0 * error,
                    "{kind} {view:?}: {estimate}, not {bytes}"
                );
                figures += 1;
                within += u32::from(off <= 2.0 * error);
            }
        }
    }
    assert!(within * 10 >= figures * 9, "{within} of {figures}");
}

fn memprof(arguments: &[&str]) -> (String, String, bool) {
    let output = Command::new(built::MEMPROF).args(arguments).output();
    let output = output.expect("memprof runs");
    let said = built::text(&output.stderr);
    (built::text(&output.stdout), said, output.status.success())
}

/// What each kind has in the JSON of `memprof leaks` with these options.
fn leaks(profile: &str, options: &[&str]) -> (BTreeMap<String, i64>, Value) {
    let all = [&["leaks", profile, "--format", "json"], options].concat();
    let (json, said, success) = memprof(&all);
    assert!(success, "{said}");
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let lines = json["lines"].as_array().expect("lines").iter();
    let figures = lines.filter_map(|line| {
        let name = line["function"]
            .as_str()?
            .strip_prefix("moments::")?
            .to_owned();
        Some((name, line["live"].as_i64()?))
    });
    (figures.collect(), json)
}

/// A leak after a higher peak, a cache that fills and empties, a phase that is over: each is told
/// by the moment that is asked for.
#[test]
fn what_users_ask_is_answered_by_marks_and_times() {
    let recorded = Recorded::with(&["--sample", "all"], &[], 0);
    let path = recorded.recording.profile();
    let path = path.to_str().expect("text");
    let ledger = |since, at, kind| {
        let live = recorded.ledger.live(since, at);
        live.get(kind).map(|&(bytes, _)| bytes)
    };
    let end = ROUNDS - 1;

    let (since, json) = leaks(path, &["--since", "round 9"]);
    assert_eq!(since.get("leak").copied(), ledger(Some(9), end, "leak"));
    assert_eq!(since.get("phase"), None, "it is gone at the end");
    assert_eq!(since.get("table"), None, "it is older");
    assert_eq!(json["recording"]["moment"]["since"]["name"], "round 9");
    assert_eq!(json["recording"]["moment"]["at"]["name"], "end");

    let (phase, _) = leaks(path, &["--since", "round 7", "--at", "round 12"]);
    assert_eq!(phase.get("phase").copied(), ledger(Some(7), 12, "phase"));
    let (full, _) = leaks(path, &["--at", "round 13"]);
    let (empty, _) = leaks(path, &["--at", "round 14"]);
    assert_eq!(full.get("cache").copied(), ledger(None, 13, "cache"));
    assert_eq!(empty.get("cache"), None);
    let (peak, json) = leaks(path, &["--at", "peak"]);
    assert_eq!(peak.get("peak"), Some(&(64 << 20)));
    assert_eq!(peak.get("leak"), None, "it begins after the peak");
    assert!(json["recording"]["moment"]["at"]["heap"].as_i64() > Some(64 << 20));

    // A time between two moments is the one before it, and the view says which.
    let moments = &recorded.profile.moments.all;
    let later = moments
        .iter()
        .find(|moment| moment.mark.as_deref() == Some("round 5"));
    let later = later.expect("it is there").time_ns;
    let before = moments.iter().rev().find(|moment| moment.time_ns < later);
    let before = before.expect("it is there").time_ns;
    let between = format!("{}us", (before + later) / 2_000);
    let (found, json) = leaks(path, &["--at", &between]);
    assert_eq!(json["recording"]["moment"]["at"]["time_ns"], before);
    assert_eq!(found.get("cache"), None, "round 4 has emptied it");

    let tree = |options: &[&str]| memprof(&[&["tree", path], options].concat());
    let (text, ..) = tree(&["--at", "round 3"]);
    assert!(
        text.starts_with("Bytes of what was live at the mark round 3 ("),
        "{text}"
    );
    let (text, ..) = memprof(&["tree", &format!("{path}@round 3")]);
    assert!(
        text.starts_with("Bytes of what was live at the mark round 3 ("),
        "{text}"
    );
    let (text, ..) = memprof(&["report", path, "--since", "round 9"]);
    assert!(
        text.starts_with("Moment: what was allocated after the mark round 9 ("),
        "{text}"
    );
    let (text, ..) = memprof(&["diff", &format!("{path}@round 9"), &format!("{path}@end")]);
    assert!(
        text.contains("moments::leak: live 0.0 MiB -> 0.2 MiB"),
        "{text}"
    );
    let (text, ..) = memprof(&["timeline", path]);
    assert!(text.contains("mark round 19: 1.4 MiB in use"), "{text}");
}

#[test]
fn what_a_moment_does_not_have_is_an_error_with_its_remedy() {
    let recorded = Recorded::with(&["--sample", "all"], &[], 0);
    let path = recorded.recording.profile();
    let path = path.to_str().expect("text");
    let refused = |options: &[&str]| {
        let (_, said, success) = memprof(&[&["tree", path], options].concat());
        assert!(!success, "{options:?}");
        said
    };
    let unknown = refused(&["--at", "warm"]);
    assert!(
        unknown.contains("warm is neither a mark of the profile nor a time"),
        "{unknown}"
    );
    assert!(unknown.contains("it has round 0, round 1,"), "{unknown}");
    assert!(
        unknown.contains("8 more marks, peak, end, times from"),
        "{unknown}"
    );
    let early = refused(&["--at", "1us"]);
    assert!(
        early.contains("nothing is known of 1us: the first moment"),
        "{early}"
    );
    let figure = refused(&["--at", "round 3", "--of", "allocated"]);
    assert!(
        figure.contains("it is known what was live, and not what was allocated"),
        "{figure}"
    );
    let peak = refused(&["--since", "peak"]);
    assert!(peak.contains("choose a mark or a time"), "{peak}");
    let order = refused(&["--since", "round 9", "--at", "round 3"]);
    assert!(order.contains("the mark round 9 ("), "{order}");
    assert!(
        order.contains("is not before the mark round 3 ("),
        "{order}"
    );
    let (_, one, success) = memprof(&["diff", path, &format!("{path}@end")]);
    assert!(
        !success && one.contains("a moment is compared with a moment"),
        "{one}"
    );
}
