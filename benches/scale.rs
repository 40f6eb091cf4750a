//! How long the analyst takes over a profile of a million nodes, and how much memory:
//! `cargo bench --bench scale`. Nodes to make and subcommands to run may be given:
//! `cargo bench --bench scale -- 1000000 report summary`.
//!
//! `cargo bench --bench scale -- stacks PROGRAM...`: how long `memprof report` takes over 100,000
//! stacks of each program, beside GNU addr2line and heaptrack's interpreter over the same
//! addresses, as rows of a Markdown table. Of one program, rows differ in the number of its
//! functions in the stacks; those of several differ in debug info.
//!
//! `cargo bench --bench scale -- heaptrack PROGRAM [ARGUMENT...]`: the same of a run of the
//! program, recorded by both.

#[allow(dead_code, reason = "each user has a part")]
#[path = "../tests/large_profile/mod.rs"]
mod large_profile;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use large_profile::Large;
use object::{Object, ObjectSection};
use profiler_alloc_format::Frame;

const MEMPROF: &str = env!("CARGO_BIN_EXE_memprof");

/// Where Debian's package puts what `heaptrack` runs.
const HEAPTRACK: &str = "/usr/lib/heaptrack";

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    match &arguments[..] {
        [stacks, programs @ ..] if stacks == "stacks" => return over_programs(programs),
        [heaptrack, run @ ..] if heaptrack == "heaptrack" => return over_one_run(run),
        _ => {}
    }
    let nodes = arguments
        .first()
        .map_or(1_000_000, |nodes| nodes.parse().expect("a number of nodes"));
    let subcommands = match &arguments[..] {
        [] | [_] => vec!["report".to_owned(), "summary".to_owned()],
        [_, subcommands @ ..] => subcommands.to_vec(),
    };
    let this = std::env::current_exe().expect("this program has a path");
    let folder = tempfile::tempdir().expect("a folder");
    let real = Large::new()
        .real(Path::new(MEMPROF), 20_000)
        .real(&this, 5_000);
    let made_up = Large::new()
        .made_up("/none/app", 20_000)
        .made_up("/none/library.so", 5_000);
    for (kind, large) in [("real", real), ("made-up", made_up)] {
        let profile = folder.path().join(format!("{kind}.memprof"));
        fs::write(&profile, large.of(nodes).to_bytes()).expect("room for a profile");
        for subcommand in &subcommands {
            measure(kind, subcommand, &profile);
        }
    }
}

fn over_programs(programs: &[String]) {
    let numbers: &[usize] = match programs {
        [_] => &[100, 1_000, 5_000, 20_000],
        // What the programs differ in is to be their debug info alone.
        _ => &[5_000],
    };
    println!(
        "| program | debug info | distinct addresses | `memprof report` | at its peak | GNU addr2line, each \
         | `heaptrack_interpret` | each | at its peak |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for program in programs {
        for &functions in numbers {
            over_stacks(program, functions);
        }
    }
}

/// Prints the row of one program and number of functions.
fn over_stacks(name: &str, functions: usize) {
    let program = &fs::canonicalize(name).expect("a program");
    let folder = tempfile::tempdir().expect("a folder");
    let builder = Large::new().real(program, functions).of_stacks(100_000);
    let frames = builder.nodes.iter().skip(1).map(|node| node.frame);
    let addresses: BTreeSet<u64> = frames
        .map(|bits| Frame::from_bits(bits).address())
        .collect();
    let profile = folder.path().join("stacks.memprof");
    fs::write(&profile, builder.to_bytes()).expect("room for a profile");
    let report = spent(Command::new(MEMPROF).arg("report").arg(&profile));
    let raw = folder.path().join("stacks.raw");
    fs::write(&raw, heaptrack_raw(program, &addresses)).expect("room for a recording");
    let interpreted = spent(&mut interpreter(&raw));
    println!(
        "| `{name}` | {:.1} MB | {} | {} | {} | {} | {} | {} | {} |",
        debug_info_mb(program),
        addresses.len(),
        report.seconds(),
        report.peak(),
        gnu_addr2line(program, &addresses),
        interpreted.seconds(),
        interpreted.each(addresses.len()),
        interpreted.peak(),
    );
}

fn debug_info_mb(program: &Path) -> f64 {
    let bytes = fs::read(program).expect("a program");
    let object = object::File::parse(&*bytes).expect("an object file");
    let sections = object.sections();
    let debug = sections.filter(|section| section.name().is_ok_and(|n| n.starts_with(".debug_")));
    debug.map(|section| section.size()).sum::<u64>() as f64 / 1e6
}

/// Time an address takes GNU addr2line. It takes long: some of the addresses say what one costs.
fn gnu_addr2line(program: &Path, addresses: &BTreeSet<u64>) -> String {
    let step = 1 + addresses.len() / 500;
    let some: Vec<_> = addresses.iter().step_by(step).collect();
    let spent = spent(
        Command::new("addr2line")
            .args(["-i", "-f", "-e"])
            .arg(program)
            .args(some.iter().map(|address| format!("{address:x}"))),
    );
    spent.each(some.len())
}

/// What heaptrack would write of a program that was met at each address.
fn heaptrack_raw(program: &Path, addresses: &BTreeSet<u64>) -> String {
    const LOADED_AT: u64 = 0x5555_0000_0000;
    let path = program.display().to_string();
    let end = addresses.last().map_or(0, |last| last + 1);
    // Version, executable, and its one segment; numbers are hexadecimal, texts have their length
    // before them.
    let mut raw = format!(
        "v 10400 3\nx {:x} {path}\nm 1 x {LOADED_AT:x} 0 {end:x}\n",
        path.len()
    );
    for address in addresses {
        writeln!(raw, "t {:x} 0", LOADED_AT + address).expect("a string");
    }
    raw
}

/// Heaptrack's interpreter over a file, into another beside it. It may need more memory than there
/// is.
fn interpreter(raw: &Path) -> Command {
    const BOUNDED: &str =
        "ulimit -v 8000000 && ulimit -t 300 && exec \"$0\" < \"$1\" > \"$1.interpreted\"";
    let mut command = Command::new("sh");
    command
        .args(["-c", BOUNDED])
        .arg(format!("{HEAPTRACK}/libexec/heaptrack_interpret"))
        .arg(raw)
        .stderr(Stdio::null());
    command
}

fn over_one_run(run: &[String]) {
    let [program, arguments @ ..] = run else {
        panic!("heaptrack PROGRAM [ARGUMENT...]");
    };
    let folder = tempfile::tempdir().expect("a folder");
    let profile = folder.path().join("run.memprof");
    spent(
        (Command::new(MEMPROF).args(["run", "--sample", "all", "-o"]))
            .arg(&profile)
            .arg("--")
            .args(run)
            .stderr(Stdio::null()),
    );
    let (recorded, _) = memprof::profile::read(&profile).expect("a profile");
    let frames: BTreeSet<_> = recorded
        .nodes
        .iter()
        .filter_map(|node| node.frame)
        .collect();
    let report = spent(Command::new(MEMPROF).arg("report").arg(&profile));

    let raw = folder.path().join("run.raw");
    spent(
        Command::new(program)
            .args(arguments)
            .env("LD_PRELOAD", format!("{HEAPTRACK}/libheaptrack_preload.so"))
            .env("DUMP_HEAPTRACK_OUTPUT", &raw)
            .stderr(Stdio::null()),
    );
    let interpreted = spent(&mut interpreter(&raw));
    let lines = fs::read(folder.path().join("run.raw.interpreted")).expect("it was interpreted");
    let lines = lines.split(|&byte| byte == b'\n');
    let addresses = lines.filter(|line| line.starts_with(b"i ")).count();

    println!("| | distinct addresses | seconds | at its peak | each |");
    println!("|---|---:|---:|---:|---:|");
    for (name, addresses, spent) in [
        ("`memprof report`", frames.len(), report),
        ("`heaptrack_interpret`", addresses, interpreted),
    ] {
        let (seconds, peak) = (spent.seconds(), spent.peak());
        let each = spent.each(addresses);
        println!("| {name} | {addresses} | {seconds} | {peak} | {each} |");
    }
}

/// Runs one subcommand and prints what it took.
fn measure(kind: &str, subcommand: &str, profile: &Path) {
    let spent = spent((Command::new(MEMPROF).args(subcommand.split(' '))).arg(profile));
    let (seconds, peak) = (spent.seconds(), spent.peak());
    println!("{kind:>8} {subcommand:<10} {seconds:>8}  {peak:>10} at the peak");
}

/// What a command took.
struct Spent {
    time: Duration,
    peak_mib: u64,
    /// Why it did not end well, or did not begin.
    failure: Option<String>,
}

impl Spent {
    fn seconds(&self) -> String {
        let seconds = self.time.as_secs_f64();
        (self.failure.clone()).unwrap_or_else(|| format!("{seconds:.2} s"))
    }

    fn peak(&self) -> String {
        format!("{} MiB", self.peak_mib)
    }

    fn each(&self, count: usize) -> String {
        let each = self.time.as_secs_f64() * 1000.0 / count as f64;
        (self.failure.clone()).unwrap_or_else(|| format!("{each:.3} ms"))
    }
}

/// Runs a command whose output nobody reads.
fn spent(command: &mut Command) -> Spent {
    let started = Instant::now();
    let mut peak_kib = 0;
    let status = command.stdout(Stdio::null()).spawn().and_then(|mut child| {
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            peak_kib = self::peak_kib(child.id()).max(peak_kib);
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    Spent {
        time: started.elapsed(),
        peak_mib: peak_kib / 1024,
        failure: match status {
            Ok(status) if status.success() => None,
            Ok(status) => Some(status.to_string()),
            Err(error) => Some(error.to_string()),
        },
    }
}

/// Highest resident set of a process so far, in KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
    number.unwrap_or(0)
}
