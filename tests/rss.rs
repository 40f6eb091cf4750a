//! Where the resident memory was: programs whose memory is in different places, and an account that
//! adds up to what the system says of each.

mod built;
mod place;
mod recording;
mod skip;

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use built::{MEMPROF, example, text};
use place::Place;
use recording::Recording;
use serde_json::Value;
use skip::skip;

const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * KIB;

/// What `memprof rss` says of a profile, and what the program itself said, in bytes.
struct Account {
    json: Value,
    own: f64,
}

impl Account {
    fn of(kind: &str, sample: &str) -> Account {
        let recording = Recording::prepare("resident");
        let output = recording
            .command(&["--sample", sample])
            .arg(kind)
            .output()
            .expect("memprof runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
        let own = text(&output.stdout).trim().parse().expect("a number");
        Account {
            json: json_of(&recording.profile()),
            own,
        }
    }

    fn last(&self) -> &Value {
        self.json["accounts"]
            .as_array()
            .and_then(|all| all.last())
            .expect("an account")
    }

    fn part(&self, name: &str) -> f64 {
        self.figure(name, "bytes")
    }

    fn figure(&self, name: &str, figure: &str) -> f64 {
        let parts = self.last()["parts"].as_array().expect("parts");
        let part = parts.iter().find(|part| part["part"] == name).expect(name);
        part[figure].as_f64().expect("a number")
    }

    /// The parts add up, none is below nothing, and the sum is within 2 % of what the program found
    /// a moment before the recorder looked.
    fn adds_up(&self, kind: &str) {
        let parts = self.last()["parts"].as_array().expect("parts");
        let bytes = |part: &Value| part["bytes"].as_f64().expect("a number");
        let sum: f64 = parts.iter().map(bytes).sum();
        assert!(
            parts.iter().all(|part| bytes(part) >= 0.0),
            "{kind}: {parts:?}"
        );
        assert_eq!(Some(sum), self.last()["resident"].as_f64(), "{kind}");
        assert!(
            (sum - self.own).abs() < 0.02 * self.own,
            "{kind}: {sum} of {}",
            self.own
        );
    }
}

fn json_of(profile: &Path) -> Value {
    let output = rss(&[profile.to_str().expect("text"), "--format", "json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn rss(arguments: &[&str]) -> Output {
    let mut command = Command::new(MEMPROF);
    command
        .arg("rss")
        .args(arguments)
        .output()
        .expect("memprof runs")
}

/// Within `part` of it, or 0.6 MiB for what the runtime has beside.
fn is_near(found: f64, expected: f64, part: f64) -> bool {
    (found - expected).abs() <= part * expected + 0.6 * MIB
}

#[test]
fn small_blocks_are_rounded_up() {
    for sample in ["all", "auto"] {
        let account = Account::of("small", sample);
        account.adds_up("small");
        // A million blocks of 20 bytes, and where they are.
        assert!(is_near(account.part("heap_in_use"), 28e6, 0.01), "{sample}");
        let (rounding, error) = (
            account.part("rounding"),
            account.figure("rounding", "standard_error"),
        );
        let off = (rounding - 12e6).abs();
        assert!(
            off <= 4.0 * error + 0.01 * 12e6,
            "{sample}: {rounding} ± {error}"
        );
        assert_eq!(sample == "all", error == 0.0, "{sample}");
    }
}

#[test]
fn huge_blocks_are_the_heaps_though_each_is_a_mapping() {
    let account = Account::of("huge", "all");
    account.adds_up("huge");
    assert!(is_near(account.part("heap_in_use"), 64.0 * MIB, 0.01));
    assert!(account.part("mapped") < 0.2 * MIB);
}

#[test]
fn stacks_are_told_from_heaps() {
    for sample in ["all", "auto"] {
        let account = Account::of("threads", sample);
        account.adds_up("threads");
        assert!(
            is_near(account.part("stacks"), 16.0 * MIB, 0.05),
            "{sample}"
        );
        assert!(
            is_near(account.part("heap_in_use"), 32.0 * MIB, 0.05),
            "{sample}"
        );
        let mapped = account.last()["stacks_mapped"].as_f64().expect("a number");
        assert!(is_near(mapped, 32.0 * MIB, 0.02), "{sample}: {mapped}");
    }
}

/// Of 64 blocks on 16 pages four stay, each on a page of its own or two: 4,096 blocks pin as many
/// pages and a few more.
#[test]
fn blocks_that_are_left_over_pin_their_pages() {
    let account = Account::of("fragments", "all");
    account.adds_up("fragments");
    let (pinned, kept) = (account.part("pinned"), account.part("kept_by_allocator"));
    assert!((12.0 * MIB..18.0 * MIB).contains(&pinned), "{pinned}");
    assert!((38.0 * MIB..46.0 * MIB).contains(&kept), "{kept}");
    let lines = account.json["pinned_lines"].as_array().expect("lines");
    let bytes = lines[0]["bytes"]["bytes"].as_f64().expect("a number");
    assert_eq!(lines[0]["function"], "resident::fragments");
    assert!(
        (bytes - pinned).abs() < 0.01 * pinned,
        "{bytes} of {pinned}"
    );

    // What was on other pages goes back to the system when it is asked for, and nothing else.
    let trimmed = Account::of("trimmed", "all");
    trimmed.adds_up("trimmed");
    assert!(is_near(trimmed.part("pinned"), pinned, 0.01));
    assert!(trimmed.part("kept_by_allocator") < 0.5 * MIB);

    // From samples it is not known what else is on a page.
    let sampled = Account::of("fragments", "16KiB");
    sampled.adds_up("fragments");
    assert_eq!(sampled.last()["pinned_known"], false);
    assert!(is_near(
        sampled.part("kept_by_allocator"),
        pinned + kept,
        0.02
    ));
}

#[test]
fn what_the_program_maps_is_no_heap() {
    let account = Account::of("mapped", "all");
    account.adds_up("mapped");
    assert!(is_near(account.part("mapped"), 40.0 * MIB, 0.01));
    assert!(account.part("heap_in_use") < 0.1 * MIB);
}

#[test]
fn room_that_is_never_touched_is_named_by_its_line() {
    let account = Account::of("untouched", "all");
    account.adds_up("untouched");
    assert!(is_near(account.part("heap_in_use"), 4.0 * MIB, 0.01));
    let untouched = account.last()["untouched"]["bytes"]
        .as_f64()
        .expect("a number");
    assert!(is_near(untouched, 252.0 * MIB, 0.001), "{untouched}");
    let lines = account.json["untouched_lines"].as_array().expect("lines");
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["function"], "resident::untouched");
    assert_eq!(lines[0]["of"].as_f64(), Some(256.0 * MIB));
    assert_eq!(lines[0]["blocks"], 1);
}

/// Each page is the system's page of zeros, which takes no memory.
#[test]
fn zeros_that_are_only_read_are_not_resident() {
    let account = Account::of("zeros", "all");
    account.adds_up("zeros");
    let untouched = account.last()["untouched"]["bytes"]
        .as_f64()
        .expect("a number");
    assert!(is_near(untouched, 64.0 * MIB, 0.001), "{untouched}");
    assert!(is_near(account.part("heap_in_use"), 16.0 * MIB, 0.01));
    // And the line says so too, whose sum is not bounded by what the whole heap has.
    let lines = account.json["untouched_lines"].as_array().expect("lines");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["function"], "resident::zeros");
    let of_line = lines[0]["bytes"]["bytes"].as_f64().expect("a number");
    assert!(is_near(of_line, 64.0 * MIB, 0.001), "{of_line}");
}

/// A program in C over the C library's allocator, and over another.
#[test]
fn a_program_without_the_crate_has_an_account() {
    let place = Place::new();
    let program = place.path("resident");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/any/resident.c");
    let built = Command::new("cc")
        .arg("-O1")
        .arg("-o")
        .args([&program, &source])
        .output();
    let built = built.expect("cc runs");
    assert!(built.status.success(), "{}", text(&built.stderr));
    let account = |name: &str, preload: Option<&Path>| {
        let profile = place.path(name);
        let mut command = Command::new(MEMPROF);
        command.args(["run", "--sample", "all", "-o"]).arg(&profile);
        command.arg("--").arg(&program);
        command.env("XDG_CACHE_HOME", place.path("cache"));
        command.envs(preload.map(|path| ("LD_PRELOAD", path)));
        let output = command.output().expect("memprof runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
        let own: f64 = text(&output.stdout).trim().parse().expect("a number");
        let account = Account {
            json: json_of(&profile),
            own: own * KIB,
        };
        account.adds_up(name);
        account
    };
    let glibc = account("glibc.memprof", None);
    assert_eq!(glibc.last()["rounding_known"], true);
    let kept = glibc.part("pinned") + glibc.part("kept_by_allocator");
    assert!((54.0 * MIB..64.0 * MIB).contains(&kept), "{kept}");

    let found = ["x86_64", "aarch64"]
        .map(|machine| format!("/usr/lib/{machine}-linux-gnu/libjemalloc.so.2"))
        .into_iter()
        .find(|path| Path::new(path).exists());
    let Some(library) = found else {
        return skip("over jemalloc: no libjemalloc.so.2 (apt-get install libjemalloc-dev)");
    };
    let jemalloc = account("jemalloc.memprof", Some(Path::new(&library)));
    assert_eq!(jemalloc.last()["rounding_known"], false);
    let heap = ["heap_in_use", "pinned", "kept_by_allocator"].map(|part| jemalloc.part(part));
    let sum: f64 = heap.iter().sum();
    assert!((60.0 * MIB..90.0 * MIB).contains(&sum), "{heap:?}");
    assert!(
        jemalloc.part("mapped") < 4.0 * MIB,
        "{}",
        jemalloc.part("mapped")
    );
}

/// It is killed while it grows: the last account is no older than a second, and a quarter.
#[test]
fn a_killed_program_has_accounts() {
    let place = Place::new();
    let profile = place.path("x.memprof");
    let mut child = Command::new(example("resident"))
        .arg("grows")
        .env("MEMPROF_OUTPUT", &profile)
        .env("MEMPROF_SAMPLE", "all")
        .stdin(Stdio::null())
        .spawn()
        .expect("the example runs");
    sleep(Duration::from_secs(3));
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let json = json_of(&profile);
    let accounts = json["accounts"].as_array().expect("accounts");
    let resident = |account: &Value| account["resident"].as_f64().expect("a number");
    let seen = json["highest_rss"]["bytes"].as_f64().expect("a number");
    assert!(accounts.len() >= 2, "{accounts:?}");
    let last = accounts.last().map(resident).expect("one");
    assert!(
        last > 0.5 * seen && last > resident(&accounts[0]),
        "{last} of {seen}"
    );
    let shown = text(&rss(&[profile.to_str().expect("text")]).stdout);
    assert!(
        shown.contains("last seen, ") && shown.contains("heap in use, as asked for"),
        "{shown}"
    );
    assert!(shown.lines().all(|line| line.len() <= 100), "{shown}");
}

#[test]
fn what_cannot_be_answered_is_said() {
    let recording = Recording::with_arguments("resident", &[], &["mapped"]);
    let profile = recording.profile();
    let profile = profile.to_str().expect("text");
    let refused = |arguments: &[&str], reason: &str| {
        let output = rss(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(reason), "{said}");
    };
    refused(
        &[profile, "--at", "noon"],
        "noon is neither a mark of the profile nor a time",
    );
    refused(
        &[profile, "--at", "0s"],
        "the first account was taken after",
    );
    // Of an older recorder.
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1.memprof.gz");
    let old = recording.profile().with_extension("old");
    let mut packed = flate2::read::GzDecoder::new(File::open(golden).expect("a file"));
    io::copy(&mut packed, &mut File::create(&old).expect("a file")).expect("it is whole");
    let reason = "the profile says nothing of resident memory";
    refused(&[old.to_str().expect("text")], reason);
    let shown = text(&rss(&[profile, "--at", "end", "--at", "highest"]).stdout);
    assert!(shown.contains("at the end, "), "{shown}");
}
