//! `memprof types` on a program whose containers are known to the byte (`examples/types.rs`),
//! built in several ways.
//!
//! The program prints what it holds; the table must say the same.

mod built;
mod packages;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use built::{MEMPROF, text};
use packages::Package;
use serde_json::Value;

/// Bytes and blocks held, by type.
type Held = BTreeMap<String, (i64, i64)>;

/// Builds the program with `profile` in its manifest, and says where it is. What it depends on is
/// built as fast as it can be.
fn build(name: &str, profile: &str, rustflags: &str) -> PathBuf {
    // The functions that dependencies share have debug information in a build for debugging alone.
    let of_dependencies = match profile.starts_with("opt-level = 0") {
        true => "",
        false => "opt-level = 0\ndebug = false",
    };
    let package = Package {
        name: &format!("types-{name}"),
        crate_name: "types",
        is_library: false,
        source: include_str!("../examples/types.rs"),
        features: "",
        dependencies: "",
        profile,
        of_dependencies,
        rustflags,
        variable: None,
        target: None,
    };
    package.build().join("types")
}

/// Where the profile of that build is.
fn recorded(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("types");
    fs::create_dir_all(&folder).unwrap();
    folder.join(format!("{name}.memprof"))
}

/// Runs the program with everything recorded: what it says that it holds, and where the profile
/// is.
fn record(program: &Path, name: &str) -> (Held, PathBuf) {
    let profile = recorded(name);
    let run = Command::new(MEMPROF)
        .args(["run", "--overwrite", "--sample", "all", "-o"])
        .arg(&profile)
        // Where the library is put that is loaded into programs without the crate.
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .arg("--")
        .arg(program)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", text(&run.stderr));
    let mut held = Held::new();
    for line in text(&run.stdout).lines() {
        let mut parts = line.splitn(3, ' ');
        let mut number = || parts.next().unwrap().parse::<i64>().unwrap();
        let (bytes, blocks) = (number(), number());
        let sum = held.entry(parts.next().unwrap().to_owned()).or_default();
        *sum = (sum.0 + bytes, sum.1 + blocks);
    }
    (held, profile)
}

fn types(profile: &Path) -> Value {
    let output = Command::new(MEMPROF)
        .args(["types", "--format", "json"])
        .arg(profile)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What the table says that is held, of what the program itself allocated.
fn table(types: &Value, only: impl Fn(&Value) -> bool) -> Held {
    let mut held = Held::new();
    for row in types["types"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| only(row))
    {
        let name = match (row["type"].as_str(), row["part"].as_str()) {
            (Some(name), Some(part)) => format!("{name}, {part}"),
            (Some(name), None) => name.to_owned(),
            (None, _) => format!("untyped {}", row["function"]),
        };
        for line in row["lines"].as_array().unwrap() {
            let file = line["file"].as_str().unwrap();
            let is_own = file.ends_with("main.rs") || file.ends_with("containers.cpp");
            let (bytes, blocks) = (
                line["live"].as_i64().unwrap(),
                line["live_count"].as_i64().unwrap(),
            );
            if is_own && blocks != 0 {
                let sum = held.entry(name.clone()).or_default();
                *sum = (sum.0 + bytes, sum.1 + blocks);
            }
        }
    }
    held
}

/// The table of a build, which is to be what the program holds.
fn check(name: &str, profile: &str, rustflags: &str) -> Value {
    let (held, types) = built_so(name, profile, rustflags);
    assert_eq!(table(&types, |_| true), held, "{name}");
    types
}

fn built_so(name: &str, profile: &str, rustflags: &str) -> (Held, Value) {
    let program = build(name, profile, rustflags);
    let (held, recorded) = record(&program, name);
    let types = types(&recorded);
    let sums = csv_sums(&recorded, ["live", "allocated"]);
    let total = &types["total"];
    assert_eq!(
        [&total["live"], &total["allocated"]],
        sums.each_ref(),
        "{name}"
    );
    (held, types)
}

/// Bytes live of a part of the table.
fn live(types: &Value, part: &str) -> i64 {
    types[part]["live"].as_i64().unwrap()
}

#[test]
fn unoptimized_every_type_is_known_to_the_byte() {
    let types = check("plain", "opt-level = 0\ndebug = 1", "");
    assert_eq!(live(&types, "untyped"), 0);
    assert!(live(&types, "guessed") < 100, "{}", types["guessed"]);
}

/// What holds the blocks of a type, with their number and whether it is certain.
fn holders(types: &Value, name: &str) -> Vec<(String, i64, bool)> {
    let rows = types["types"].as_array().unwrap().iter();
    let rows = rows.filter(|row| row["type"] == name);
    let holders = rows.flat_map(|row| row["held_by"].as_array().unwrap());
    let holders = holders.map(|holder| {
        let certain = holder["certain"].as_bool().unwrap();
        let held = holder["live_count"].as_i64().unwrap();
        (holder["type"].as_str().unwrap().to_owned(), held, certain)
    });
    holders.filter(|(_, held, _)| *held != 0).collect()
}

#[test]
fn stacks_tell_what_holds_a_block() {
    let (_, types) = built_so("plain", "opt-level = 0\ndebug = 1", "");
    // The first is moved in; the others are its clones.
    let vector = "Vec<alloc::vec::Vec<u16>>".to_owned();
    assert_eq!(holders(&types, "Vec<u16>"), [(vector, 19, true)]);
    // They are made by a closure of the program's, which may make others beside them.
    let names = "Vec<alloc::string::String>".to_owned();
    assert_eq!(holders(&types, "String"), [(names, 40, false)]);
    assert_eq!(holders(&types, "Box<types::Node>"), []);
}

/// The sums of columns of the table as CSV.
fn csv_sums<const N: usize>(profile: &Path, columns: [&str; N]) -> [i64; N] {
    let output = Command::new(MEMPROF)
        .args(["types", "--format", "csv"])
        .arg(profile)
        .output()
        .unwrap();
    let mut rows = csv::Reader::from_reader(output.stdout.as_slice());
    let heading = rows.headers().unwrap().clone();
    let at = columns.map(|column| heading.iter().position(|name| name == column).unwrap());
    let mut sums = [0; N];
    for row in rows.records() {
        let row = row.unwrap();
        for (sum, at) in sums.iter_mut().zip(at) {
            *sum += row[at].parse::<i64>().unwrap();
        }
    }
    sums
}

#[test]
fn optimized_every_type_is_known_to_the_byte() {
    let types = check("optimized", "debug = 1", "");
    assert_eq!(live(&types, "untyped"), 0);
    // Nothing was merged here, but that is not known.
    assert!(
        live(&types, "guessed") < live(&types, "total") / 20,
        "{}",
        types["guessed"]
    );
}

#[test]
fn with_fat_lto_every_type_is_known_to_the_byte() {
    let types = check("lto", "debug = 1\nlto = \"fat\"\ncodegen-units = 1", "");
    assert_eq!(live(&types, "untyped"), 0);
}

#[test]
fn full_debug_information_tells_the_size_of_elements() {
    let types = check("full", "debug = 2", "-C symbol-mangling-version=v0");
    let rows = types["types"].as_array().unwrap();
    let row = |name: &str| rows.iter().find(|row| row["type"] == name).unwrap();
    assert_eq!(row("Vec<types::Order>")["element_size"], 40);
    assert_eq!(row("VecDeque<types::Invoice>")["element_size"], 40);
    // A vector that grew from 4 to 1024 elements took 4 + 8 + … + 512 that it need not have.
    let orders = row("Vec<types::Order>");
    assert_eq!(orders["growth_steps"], 8);
    assert_eq!(
        orders["replaced"],
        (4..=512).filter(|n: &i64| n.count_ones() == 1).sum::<i64>() * 40
    );
}

#[test]
fn line_tables_alone_lose_texts_that_are_shared() {
    let (mut held, types) = built_so("lines", "debug = \"line-tables-only\"", "");
    // The path of the function that made it is not there, and it is of bytes.
    let text = held.remove("Arc<str>").unwrap();
    held.insert("Arc<[u8]>".to_owned(), text);
    assert_eq!(table(&types, |_| true), held);
}

#[test]
fn split_debug_information_is_found() {
    check("split", "debug = 1\nsplit-debuginfo = \"unpacked\"", "");
    check("packed", "debug = 1\nsplit-debuginfo = \"packed\"", "");
}

/// What the smallest code loses: growth that runs in functions of std's own, which have no debug
/// information. The type is not known then, and never another.
#[test]
fn optimized_for_size_no_type_is_wrong_and_little_is_lost() {
    for (name, level) in [("small", "s"), ("smallest", "z")] {
        let profile = format!("debug = 1\nopt-level = \"{level}\"");
        let (held, types) = built_so(name, &profile, "");
        let found = table(&types, |row| !row["type"].is_null());
        for (kind, &(bytes, blocks)) in &found {
            let (held_bytes, held_blocks) = held.get(kind).copied().unwrap_or_default();
            let is_right = bytes <= held_bytes && blocks <= held_blocks;
            assert!(is_right, "{level}: {kind}: {bytes} of {held_bytes}");
        }
        let sum = |held: &Held| held.values().map(|(bytes, _)| bytes).sum::<i64>();
        let (found, held) = (sum(&found), sum(&held));
        assert!(
            found >= held / 100 * LEAST_OF_SMALL,
            "{level}: {found} of {held}"
        );
        assert_eq!(sum(&table(&types, |_| true)), held, "{level}");
    }
}

/// Of the bytes that the program holds, optimized for size, so many percent have their type.
const LEAST_OF_SMALL: i64 = 99;

#[test]
fn containers_of_cpp_are_known_to_the_byte_in_a_program_that_knows_nothing_of_memprof() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/any/containers.cpp");
    for level in ["-O0", "-O1", "-O2", "-Os"] {
        let name = format!("cpp{level}");
        let program = recorded(&name).with_extension("");
        let built = Command::new("c++")
            .args(["-std=c++17", "-g", level, "-o"])
            .args([&program, &source])
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", text(&built.stderr));
        let (held, profile) = record(&program, &name);
        let types = types(&profile);
        assert_eq!(table(&types, |row| !row["type"].is_null()), held, "{level}");
        // The buffer of `printf`.
        assert_eq!(live(&types, "foreign"), 4096, "{level}");
    }
}

#[test]
fn without_debug_information_no_type_is_made_up() {
    let (_, types) = built_so("stripped", "strip = true", "");
    assert_eq!(table(&types, |row| !row["type"].is_null()), Held::new());
    let stripped = |types: &Value| {
        types["types"]
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["type"].is_null())
    };
    assert!(stripped(&types), "{types}");
    let profile = recorded("stripped");
    let output = Command::new(MEMPROF)
        .arg("types")
        .arg(profile)
        .output()
        .unwrap();
    assert!(
        text(&output.stdout).contains("types need debug information"),
        "{}",
        text(&output.stdout)
    );
}
