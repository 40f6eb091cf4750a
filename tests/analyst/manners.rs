//! How the command behaves among others: colour, pipes that close, errors, and files that are whole
//! or not there.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::skip::skip;
use memprof::profile::{Frame, builder::Builder};
use tempfile::TempDir;

const MEMPROF: &str = env!("CARGO_BIN_EXE_memprof");

/// Subcommands that show a profile, with what makes them show it on standard output.
const VIEWS: &[&[&str]] = &[
    &["report"],
    &["report", "--format", "json"],
    &["report", "--format", "csv"],
    &["report", "--format", "html"],
    &["summary"],
    &["summary", "--format", "json"],
    &["diff", "app.memprof"],
    &["diff", "app.memprof", "--format", "json"],
    &["diff", "app.memprof", "--format", "html"],
    &["live", "--once", "--interval", "1ms"],
    &["tree"],
    &["flamegraph"],
    &["flamegraph", "--base", "app.memprof"],
    &["timeline"],
    &["leaks"],
    &["temporary"],
    &["processes"],
    &["processes", "--format", "markdown"],
    &["processes", "--format", "json"],
    &["processes", "--format", "csv"],
    &["types"],
    &["types", "--format", "json"],
    &["types", "--format", "csv"],
    &["export", "--format", "pprof"],
    &["export", "--format", "dhat"],
    &["export", "--format", "folded"],
    &["export", "--format", "speedscope"],
    &["export", "--format", "firefox"],
    &["export", "--format", "json"],
    &["export", "--format", "csv"],
    &["export", "--format", "otlp"],
];

/// Those of [`VIEWS`] that are text for people.
const FOR_PEOPLE: [&str; 9] = [
    "report",
    "summary",
    "diff app.memprof",
    "tree",
    "timeline",
    "leaks",
    "temporary",
    "processes",
    "types",
];

/// A folder with a profile, `app.memprof`, of a program that is not there.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = Builder::new();
    builder.module("/none/app");
    for address in 1..200 {
        let stack = builder.stack(&[Frame::new(0, 16 * address), Frame::new(0, 8)]);
        builder.allocated(stack, 1000 * address, 1);
    }
    fs::write(folder.path().join("app.memprof"), builder.to_bytes()).unwrap();
    folder
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(MEMPROF);
    command.current_dir(folder).args(args).stdin(Stdio::null());
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command
}

fn ended(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The names of all subcommands, as `memprof --help` lists them.
fn subcommands() -> Vec<String> {
    let help = text(&ended(Path::new("/"), &["--help"]).stdout);
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = list.take_while(|line| !line.is_empty());
    let names = names.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| Some(line.split_whitespace().next()?.to_owned()));
    let names: Vec<String> = names.collect();
    assert!(names.contains(&"report".to_owned()), "{help}");
    names
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let folder = folder();
    for view in VIEWS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = command(folder.path(), &[*view, &["app.memprof"]].concat());
        let output = command.stdout(writer).output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.success(), "{view:?}: {said}");
        assert_eq!(said, "", "{view:?}");
    }
}

#[test]
fn help_and_wrong_words_survive_a_reader_that_leaves() {
    for name in subcommands() {
        for option in ["--help", "--no-such-option"] {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let mut command = command(Path::new("/"), &[&name, option]);
            command.stdout(writer.try_clone().unwrap()).stderr(writer);
            let status = command.status().unwrap();
            assert!(
                matches!(status.code(), Some(0 | 2)),
                "{name} {option}: {status}"
            );
        }
    }
}

#[test]
fn an_error_that_nobody_reads_is_still_an_exit_code() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = command(Path::new("/"), &["report", "/no/such.memprof"]);
    assert_eq!(command.stderr(writer).status().unwrap().code(), Some(2));
}

#[test]
fn output_is_plain_unless_colour_is_forced() {
    let folder = folder();
    let styled = |variables: &[(&str, &str)]| {
        let mut command = command(folder.path(), &["report"]);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        assert!(output.status.success());
        output.stdout.contains(&0x1b)
    };
    assert!(!styled(&[]), "a pipe");
    assert!(styled(&[("CLICOLOR_FORCE", "1")]));
    assert!(!styled(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(!styled(&[("CLICOLOR", "1")]), "a pipe is no terminal");
}

#[test]
fn the_option_for_colour_goes_before_the_environment() {
    let folder = folder();
    let styled = |args: &[&str], variable: &str| {
        let mut command = command(folder.path(), args);
        let output = command.env(variable, "1").output().unwrap();
        assert!(output.status.success());
        output.stdout.contains(&0x1b)
    };
    assert!(styled(&["--color", "always", "report"], "NO_COLOR"));
    assert!(styled(&["report", "--color=always"], "UNUSED"));
    assert!(!styled(&["report", "--color", "never"], "CLICOLOR_FORCE"));
    assert!(styled(&["report", "--color", "auto"], "CLICOLOR_FORCE"));
    assert!(!styled(&["report", "--color", "auto"], "UNUSED"));
    let error = ended(folder.path(), &["report", "--color", "some"]);
    assert_eq!(error.status.code(), Some(2));
    assert!(text(&error.stderr).contains("auto, always, never"));
}

#[test]
fn old_names_of_options_are_taken_with_one_line() {
    let folder = folder();
    let pairs: [(&[&str], &[&str]); 3] = [
        (
            &["export", "--to", "folded"],
            &["export", "--format", "folded"],
        ),
        (
            &["report", "--file", "app"],
            &["report", "--source-file", "app"],
        ),
        (&["report", "--file=app"], &["report", "--source-file=app"]),
    ];
    for (old, new) in pairs {
        let (old, new) = (ended(folder.path(), old), ended(folder.path(), new));
        assert!(old.status.success() && new.status.success(), "{old:?}");
        assert!(!new.stdout.is_empty() && old.stdout == new.stdout);
        assert_eq!(text(&new.stderr), "");
        let said = text(&old.stderr);
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(
            said.ends_with("now; the old name is still taken\n"),
            "{said}"
        );
    }
    // The program's own options are its own.
    let run = ["run", "--force", "-o", "x.memprof", "echo", "--force"];
    let output = ended(folder.path(), &run);
    assert_eq!(text(&output.stdout), "--force\n");
    assert!(text(&output.stderr).contains("`--force` is called `--overwrite` now"));
    // Where it means something else, it keeps its name.
    let output = ended(folder.path(), &["report", "--force", "app.memprof"]);
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn help_says_what_exit_codes_mean_and_has_one_mood() {
    let folder = folder();
    let help = |args: &[&str]| text(&ended(folder.path(), &[args, &["--help"]].concat()).stdout);
    let commands = help(&[]);
    let commands = commands.split("Commands:\n").nth(1).unwrap();
    let commands = commands.split("\n\n").next().unwrap();
    let summaries = commands.lines().filter(|line| !line.starts_with("    "));
    let mut count = 0;
    for line in summaries {
        let mut words = line.split_whitespace();
        let (name, verb) = (words.next().unwrap(), words.next().unwrap());
        assert!(!verb.ends_with('s'), "{line}");
        if name != "help" {
            assert!(help(&[name]).contains("\nExit codes: "), "{name}");
            count += 1;
        }
    }
    assert!(count >= 15, "{commands}");
    assert!(help(&["run"]).contains("127 if it was not"));
    assert!(help(&["diff"]).contains("1 if something grew"));
    assert!(help(&["history", "diff"]).contains("1 if something grew"));
}

#[test]
fn only_text_for_people_is_ever_styled() {
    let folder = folder();
    for view in VIEWS {
        let styled = |name: &str| {
            let mut command = command(folder.path(), &[*view, &["app.memprof"]].concat());
            let output = command.env(name, "1").output().unwrap();
            assert!(output.status.success(), "{view:?}");
            // The bytes of pprof and OTLP may be any.
            String::from_utf8(output.stdout).is_ok_and(|text| text.contains('\x1b'))
        };
        assert!(!styled("NO_COLOR"), "{view:?}");
        let for_people = FOR_PEOPLE.contains(&&*view.join(" "));
        let is_live = view[0] == "live";
        assert!(
            is_live || styled("CLICOLOR_FORCE") == for_people,
            "{view:?}"
        );
    }
}

#[test]
fn a_damaged_profile_is_shown_with_what_is_wrong_with_it() {
    let folder = folder();
    let whole = fs::read(folder.path().join("app.memprof")).unwrap();
    // Half of it, as of a copy that was interrupted.
    fs::write(
        folder.path().join("half.memprof"),
        &whole[..whole.len() / 2],
    )
    .unwrap();
    for view in VIEWS {
        let output = ended(folder.path(), &[*view, &["half.memprof"]].concat());
        let (shown, said) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{view:?}: {said}");
        assert!(!shown.is_empty(), "{view:?}");
        if FOR_PEOPLE.contains(&&*view.join(" ")) {
            assert!(shown.contains("Note: "), "{view:?}: {shown}");
        }
    }
}

/// Whether a report on a terminal of its own has styles; `None` where no terminal can be made.
fn styled_on_a_terminal(folder: &Path, variables: &str) -> Option<bool> {
    if Command::new("script").arg("--version").output().is_err() {
        skip("a report on a terminal: no `script` (apt-get install bsdutils)");
        return None;
    }
    let run = format!("TERM=xterm {variables} '{MEMPROF}' report app.memprof");
    let mut script = Command::new("script");
    script.args(["-qec", &run, "/dev/null"]).current_dir(folder);
    // It runs what it is given in the user's shell, which may be any.
    script.env("SHELL", "/bin/sh");
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        script.env_remove(name);
    }
    let output = script.stdin(Stdio::null()).output().unwrap();
    let shown = text(&output.stdout);
    assert!(shown.contains("Line #"), "{shown}");
    Some(shown.contains('\x1b'))
}

#[test]
fn a_terminal_gets_styles_unless_it_wants_none() {
    let folder = folder();
    let styled = |variables| styled_on_a_terminal(folder.path(), variables);
    let Some(usual) = styled("") else { return };
    assert!(usual);
    assert_eq!(styled("NO_COLOR=1"), Some(false));
    assert_eq!(styled("CLICOLOR=0"), Some(false));
    // Empty is as good as not set: https://no-color.org
    assert_eq!(styled("NO_COLOR="), Some(true));
}

#[test]
fn every_error_names_the_file_and_what_to_do() {
    let folder = folder();
    fs::write(folder.path().join("empty.memprof"), "").unwrap();
    fs::write(folder.path().join("text.memprof"), "hello\n").unwrap();
    fs::create_dir(folder.path().join("folder.memprof")).unwrap();
    for view in VIEWS {
        for file in ["missing", "empty", "text", "folder"] {
            let file = format!("{file}.memprof");
            let output = ended(folder.path(), &[*view, &[&file]].concat());
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{view:?} {file}: {said}");
            assert!(output.stdout.is_empty(), "{view:?} {file}");
            assert!(said.starts_with("memprof: "), "{view:?}: {said}");
            assert!(said.contains(&file), "{view:?}: {said}");
            let remedy = ["`memprof run", "`ls *.memprof`"];
            assert!(remedy.iter().any(|r| said.contains(r)), "{view:?}: {said}");
        }
    }
    // What keeps, serves and sends profiles says as much, and does nothing else.
    for (arguments, remedy) in [
        (&["serve", "missing.memprof"][..], "`ls *.memprof`"),
        (
            &["serve", "--listen", "127.0.0.1:0", "text.memprof"],
            "`memprof run",
        ),
        (
            &["push", "--to", "http://127.0.0.1:9", "missing.memprof"],
            "`ls *.memprof`",
        ),
        (
            &["history", "--db", "new.sqlite", "save", "missing.memprof"],
            "`ls *.memprof`",
        ),
        (
            &["history", "--db", "no.sqlite", "list"],
            "`memprof history save",
        ),
        (&["history", "--db", "text.memprof", "list"], "--db"),
    ] {
        let output = ended(folder.path(), arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        let mut files = arguments
            .iter()
            .filter(|it| it.contains("missing") || it.contains("text") || it.contains("no."));
        assert!(
            files.all(|file| said.contains(file)),
            "{arguments:?}: {said}"
        );
        assert!(said.contains(remedy), "{arguments:?}: {said}");
    }
    assert!(!folder.path().join("new.sqlite").exists());
    let nothing = tempfile::tempdir().unwrap();
    for view in ["report", "summary", "tree", "timeline", "leaks"] {
        let output = ended(nothing.path(), &[view]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{view}: {said}");
        assert!(said.contains("`memprof run -- PROGRAM`"), "{view}: {said}");
    }
}

#[test]
fn a_file_that_cannot_be_made_is_named() {
    let folder = folder();
    for file in ["no/such/folder/out", "."] {
        let output = ended(folder.path(), &["summary", "app.memprof", "-o", file]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("cannot create {file};")), "{said}");
        assert!(said.contains("name another file with -o"), "{said}");
    }
    let output = ended(
        folder.path(),
        &["summary", "app.memprof", "-o", "/dev/full"],
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("/dev/full"));
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn what_fails_half_way_leaves_everything_as_it_was() {
    let folder = folder();
    fs::write(folder.path().join("old"), "precious").unwrap();
    for view in [
        &["report"][..],
        &["report", "--format", "html"],
        &["flamegraph"],
    ] {
        for file in ["old", "new"] {
            // As a full disk: no file may grow beyond one block.
            let run = format!(
                "trap '' XFSZ; ulimit -f 1; exec '{MEMPROF}' {} app.memprof -o {file}",
                view.join(" ")
            );
            let mut shell = Command::new("sh");
            let output = shell
                .args(["-c", &run])
                .current_dir(&folder)
                .output()
                .unwrap();
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{view:?}: {said}");
            assert!(said.contains(&format!("cannot write {file}, ")), "{said}");
        }
    }
    assert_eq!(names(folder.path()), ["app.memprof", "old"]);
    assert_eq!(
        fs::read_to_string(folder.path().join("old")).unwrap(),
        "precious"
    );
}

#[test]
fn a_file_is_replaced_as_a_whole_and_keeps_its_rights() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("real"), "old\n".repeat(10_000)).unwrap();
    fs::set_permissions(path("real"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real", path("link")).unwrap();
    let output = ended(folder.path(), &["summary", "app.memprof", "-o", "link"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(output.stdout.is_empty());
    let written = fs::read_to_string(path("real")).unwrap();
    assert!(
        written.contains("(process 1)") && !written.contains("old"),
        "{written}"
    );
    assert!(!written.contains('\x1b'));
    assert!(fs::symlink_metadata(path("link")).unwrap().is_symlink());
    let mode = |name| fs::metadata(path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("real"), 0o640);

    let run = format!("umask 027; exec '{MEMPROF}' summary app.memprof -o new");
    let mut shell = Command::new("sh");
    let status = shell
        .args(["-c", &run])
        .current_dir(&folder)
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(mode("new"), 0o640, "as any new file under this umask");
    assert_eq!(names(folder.path()), ["app.memprof", "link", "new", "real"]);
}

#[test]
fn output_to_a_device_goes_there() {
    let folder = folder();
    let output = ended(
        folder.path(),
        &["summary", "app.memprof", "-o", "/dev/stdout"],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("(process 1)"));
    let output = ended(
        folder.path(),
        &["summary", "app.memprof", "-o", "/dev/null"],
    );
    assert!(output.status.success());
}

/// Every view has `-o`, but for the one that is a page on a terminal.
#[test]
fn a_dash_is_standard_output() {
    let folder = folder();
    let run = |arguments: &[&str]| {
        let output = (Command::new(MEMPROF).args(arguments))
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        output.stdout
    };
    for view in VIEWS.iter().filter(|view| view[0] != "live") {
        let view = [view, &["app.memprof"][..]].concat();
        let dashed = run(&[&view[..], &["-o", "-"]].concat());
        assert!(!dashed.is_empty(), "{view:?}");
        assert_eq!(dashed.len(), run(&view).len(), "{view:?}");
        assert!(!folder.path().join("-").exists(), "{view:?}");
    }
    run(&["report", "-o", "./-"]);
    assert!(folder.path().join("-").exists());
}

#[test]
fn a_very_long_line_of_source_is_not_shown_whole() {
    let folder = tempfile::tempdir().unwrap();
    let source = format!(
        "fn main() {{\n    let all = [{}];\n}}\n",
        "1, ".repeat(69_000)
    );
    let file = folder.path().join("app.rs");
    fs::write(&file, source).unwrap();
    fs::write(folder.path().join("empty.rs"), "\n").unwrap();
    let mut builder = Builder::new();
    let main = builder.profiled("main", file.to_str().unwrap(), (1, 3));
    builder.share(main, &[(2, 1, 900, 0)]);
    let profile = folder.path().join("app.memprof");
    fs::write(&profile, builder.to_bytes()).unwrap();
    for format in ["text", "json"] {
        let output = (Command::new(MEMPROF).args(["report", "--exact", "--format", format]))
            .arg(&profile)
            .output()
            .unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        let longest = shown.lines().map(str::len).max().unwrap();
        match format {
            "text" => assert!(
                longest < 400 && shown.contains("… (207,017 characters)"),
                "{shown:.900}"
            ),
            _ => assert!(shown.len() > 207_000, "programs get all of it"),
        }
    }
}
