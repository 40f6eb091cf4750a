//! Rule 5 of the hook: how the profile's file is made, and that whatever stands in its way, the
//! program runs on as if unprofiled, with one line on stderr.

mod built;
mod skip;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use built::{example, text};
use profiler_alloc_format::env;
use skip::skip;

const SECRET: &str = "correct-horse-battery-staple";

/// The classic example, asked to record into `output`.
fn lists(output: &Path) -> Command {
    let mut command = Command::new(example("lists"));
    command.env(env::OUTPUT, output);
    command
}

/// The same by way of a shell that first runs `before`.
fn after(before: &str, output: &Path) -> Output {
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("{before}; exec \"$0\""))
        .arg(example("lists"));
    shell.env(env::OUTPUT, output).output().unwrap()
}

/// The program did its work, and `warnings` lines of the recorder's stand on stderr.
fn ran_on(output: &Output, warnings: usize) -> String {
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stdout), "100318736\n");
    let stderr = text(&output.stderr);
    assert_eq!(stderr.lines().count(), warnings, "{stderr}");
    assert!(
        stderr
            .lines()
            .all(|line| line.starts_with("profiler-alloc: ")),
        "{stderr}"
    );
    stderr
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.memprof");
    (folder, path)
}

#[test]
fn the_file_is_its_owners_alone_and_tells_no_arguments_and_no_environment() {
    let (_folder, path) = folder();
    let output = lists(&path)
        .arg(SECRET)
        .env("SECRET", SECRET)
        .output()
        .unwrap();
    ran_on(&output, 0);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    let bytes = fs::read(&path).unwrap();
    let found = bytes
        .windows(SECRET.len())
        .any(|window| window == SECRET.as_bytes());
    assert!(!found, "the profile holds an argument or a variable");
}

#[test]
fn an_existing_file_is_never_written() {
    let (folder, path) = folder();
    fs::write(&path, "mine").unwrap();
    ran_on(&lists(&path).output().unwrap(), 0);
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    // The profile stands beside it.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_planted_link_is_not_followed() {
    let (folder, path) = folder();
    let victim = folder.path().join("victim");
    symlink(&victim, &path).unwrap();
    ran_on(&lists(&path).output().unwrap(), 0);
    assert!(!victim.exists());
}

#[test]
fn programs_it_executes_inherit_no_descriptor() {
    let (_folder, path) = folder();
    let list = |command: &mut Command| text(&command.output().unwrap().stdout).lines().count();
    // `spawn` is recorded and starts `ls`, which lists its own descriptors.
    let mut recorded = Command::new(example("spawn"));
    let with = list(
        recorded
            .env(env::OUTPUT, &path)
            .args(["ls", "/proc/self/fd"]),
    );
    assert!(path.exists());
    let mut plain = Command::new(example("spawn"));
    assert_eq!(with, list(plain.args(["ls", "/proc/self/fd"])));
}

#[test]
fn what_stands_in_the_way_is_said_once_and_the_program_runs_on() {
    let (folder, _) = folder();
    let missing = folder.path().join("no/such/folder/x");
    let said = ran_on(&lists(&missing).output().unwrap(), 1);
    assert!(
        said.contains("No such file or directory") && said.contains("no/such/folder"),
        "{said}"
    );
    let said = ran_on(&lists(Path::new("/proc/x.memprof")).output().unwrap(), 1);
    assert!(said.contains("runs on unprofiled"), "{said}");
    let long = folder.path().join("x".repeat(5_000));
    ran_on(&lists(&long).output().unwrap(), 1);
}

#[test]
fn a_limit_on_file_size_is_seen_before_it_strikes() {
    let (_folder, path) = folder();
    // 64 blocks of 512 bytes: not enough to start.
    let said = ran_on(&after("ulimit -f 64", &path), 1);
    assert!(said.contains("no room for the profile"), "{said}");
    assert!(!path.exists(), "nothing is left behind");
}

#[test]
fn a_file_that_cannot_grow_loses_stacks_and_says_so() {
    let (_folder, path) = folder();
    // Enough to start, not enough for a second chunk of anything.
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -f 800; exec \"$0\" 4000"])
        .arg(example("recursion"));
    let output = shell
        .env(env::OUTPUT, &path)
        .env(env::SAMPLE, "all")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let stderr = text(&output.stderr);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("cannot grow"), "{stderr}");
    let (profile, _) = memprof::profile::read(&path).unwrap();
    assert!(profile.header.lost_stacks > 0 && profile.header.lost_growth == 1);
    assert_eq!(
        profile.counters().allocs,
        profile.counters().frees + 1,
        "counts stay exact"
    );
}

#[test]
fn few_descriptors_are_no_reason_to_fail() {
    let (_folder, path) = folder();
    let output = after("ulimit -n 3", &path);
    // Some shells need a descriptor more themselves; then there is nothing to see here.
    if output.status.success() {
        ran_on(&output, text(&output.stderr).lines().count().min(1));
    }
}

#[test]
fn a_full_disk_is_met_before_a_store() {
    let (folder, _) = folder();
    let mount = folder.path().to_str().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs", mount])
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        return skip("a full disk: this user cannot mount a small one");
    }
    let output = lists(&folder.path().join("x.memprof")).output().unwrap();
    let empty = fs::read_dir(folder.path()).unwrap().count() == 0;
    let unmounted = Command::new("umount").arg(mount).status().unwrap();
    assert!(unmounted.success());
    let said = ran_on(&output, 1);
    assert!(said.contains("No space left on device"), "{said}");
    assert!(empty, "nothing is left behind");
}

#[test]
fn a_program_with_raised_privileges_is_not_recorded() {
    let (folder, _) = folder();
    let copy = folder.path().join("lists");
    fs::copy(example("lists"), &copy).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755)).unwrap();
    let path = folder.path().join("x.memprof");
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&copy);
    match command.env(env::OUTPUT, &path).output() {
        Ok(output) if output.status.success() => {
            let said = ran_on(&output, 1);
            assert!(said.contains("raised privileges"), "{said}");
            assert!(!path.exists());
        }
        _ => skip("a program with raised privileges: only root can make one"),
    }
}

#[test]
fn wrong_settings_are_named_and_left_at_their_defaults() {
    let (_folder, path) = folder();
    let output = lists(&path)
        .env(env::SAMPLE, "often")
        .env(env::OVERHEAD, "101")
        .output()
        .unwrap();
    let said = ran_on(&output, 2);
    assert!(
        said.contains("MEMPROF_SAMPLE") && said.contains("often"),
        "{said}"
    );
    assert!(path.exists());
}
