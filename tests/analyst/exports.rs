//! Every export of a real profile says the same totals as the report, decoded by a reader that is
//! not memprof's own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::built::text;
use crate::inert;
use crate::leak::{leak, memprof, totals};
use crate::pprof;
use crate::skip::skip;
use opentelemetry_proto::tonic::profiles::v1development::ProfilesData;
use prost::Message;
use serde_json::Value;

fn export(form: &str) -> Vec<u8> {
    memprof(&["export", "--format", form], &leak().profile())
}

fn json(form: &str) -> Value {
    inert::in_json(&text(&export(form)))
}

fn sum<'a>(values: impl IntoIterator<Item = &'a Value>) -> i64 {
    let numbers = values.into_iter().map(|value| value.as_i64());
    numbers.map(|number| number.expect("a number")).sum()
}

#[test]
fn pprof_agrees_and_points_nowhere_wrong() {
    let profile = pprof::decode(&export("pprof"));
    let string = |index: i64| profile.string_table[index as usize].as_str();
    let names: Vec<&str> = profile.sample_type.iter().map(|t| string(t.name)).collect();
    let expected = [
        "alloc_objects",
        "alloc_space",
        "inuse_objects",
        "inuse_space",
        "peak_objects",
        "peak_space",
    ];
    assert_eq!(names, expected);
    assert_eq!(string(profile.default_sample_type), "peak_space");
    assert_eq!(profile.string_table[0], "");
    let total = |index: usize| -> i64 { profile.sample.iter().map(|s| s.value[index]).sum() };
    assert_eq!([1, 3, 5].map(total), totals());

    for sample in &profile.sample {
        assert_eq!(sample.value.len(), 6);
        assert!(!sample.location_id.is_empty());
        let known = |id: &u64| profile.location.iter().any(|location| location.id == *id);
        assert!(sample.location_id.iter().all(known));
    }
    let functions: BTreeMap<u64, &pprof::Function> =
        profile.function.iter().map(|f| (f.id, f)).collect();
    for location in &profile.location {
        assert!(!location.line.is_empty());
        assert!(
            location
                .line
                .iter()
                .all(|line| functions.contains_key(&line.function_id))
        );
        let known = |mapping: &pprof::Mapping| mapping.id == location.mapping_id;
        assert!(location.mapping_id == 0 || profile.mapping.iter().any(known));
    }
    let main = &profile.mapping[0];
    assert!(
        string(main.filename).ends_with("/leak"),
        "{}",
        string(main.filename)
    );
    assert!(string(main.build_id).len() >= 16, "a build-id");
    let inlined = profile
        .location
        .iter()
        .any(|location| location.line.len() > 1);
    assert!(inlined, "std's inlined functions are lines of one location");
    // A sample begins at what called the allocator, not at std's way to it.
    for sample in &profile.sample {
        let innermost = pprof::functions(&profile, sample)[0].to_owned();
        let of_std = ["alloc::alloc::", "alloc::raw_vec::", "<alloc::alloc::"];
        assert!(
            !of_std.iter().any(|module| innermost.starts_with(module)),
            "{innermost}"
        );
    }
    let serve = functions
        .values()
        .find(|f| string(f.name) == "leak::serve")
        .unwrap();
    let file = Path::new(string(serve.filename));
    assert!(
        file.is_absolute() && file.ends_with("examples/leak.rs"),
        "{file:?}"
    );
}

#[test]
fn otlp_agrees() {
    let data = ProfilesData::decode(&*export("otlp")).expect("protobuf");
    let dictionary = data.dictionary.expect("tables");
    let string = |index: i32| dictionary.string_table[index as usize].as_str();
    let profiles = &data.resource_profiles[0].scope_profiles[0].profiles;
    let total = |name: &str| -> i64 {
        let named = |profile: &&_| {
            let profile: &opentelemetry_proto::tonic::profiles::v1development::Profile = profile;
            string(profile.sample_type.unwrap().type_strindex) == name
        };
        let profile = profiles.iter().find(named).expect(name);
        for sample in &profile.samples {
            let stack = &dictionary.stack_table[sample.stack_index as usize];
            assert!(!stack.location_indices.is_empty());
            for &location in &stack.location_indices {
                let location = &dictionary.location_table[location as usize];
                let function = location.lines[0].function_index as usize;
                assert!(dictionary.function_table[function].name_strindex > 0);
                assert!(dictionary.mapping_table.len() > location.mapping_index as usize);
            }
        }
        profile.samples.iter().map(|sample| sample.values[0]).sum()
    };
    assert_eq!(
        ["alloc_space", "inuse_space", "peak_space"].map(total),
        totals()
    );
    // Number 0 of every table stands for none.
    assert_eq!(string(0), "");
    assert_eq!(dictionary.stack_table[0], Default::default());
    assert_eq!(dictionary.location_table[0], Default::default());
    let mut ids: Vec<_> = profiles.iter().map(|profile| &profile.profile_id).collect();
    assert!(ids.iter().all(|id| id.len() == 16));
    ids.dedup();
    assert_eq!(ids.len(), 6);
}

#[test]
fn dhat_agrees_and_has_what_its_viewer_asks_for() {
    let file = json("dhat");
    assert_eq!(file["dhatFileVersion"], 2);
    for field in [
        "mode", "verb", "bklt", "bkacc", "tu", "Mtu", "cmd", "pid", "te", "tg", "tuth",
    ] {
        assert!(!file[field].is_null(), "{field}");
    }
    assert_eq!(file["ftbl"][0], "[root]");
    let points = file["pps"].as_array().unwrap();
    let total = |field: &str| sum(points.iter().map(|point| &point[field]));
    assert_eq!(["tb", "eb", "gb"].map(total), totals());
    let frames = file["ftbl"].as_array().unwrap().len() as u64;
    for point in points {
        for field in ["tbk", "mb", "mbk", "gbk", "ebk"] {
            assert!(point[field].is_i64() || point[field].is_u64(), "{field}");
        }
        let fs = point["fs"].as_array().unwrap();
        assert!(!fs.is_empty());
        let known = |index: &Value| (1..frames).contains(&index.as_u64().unwrap());
        assert!(fs.iter().all(known));
    }
}

#[test]
fn folded_stacks_agree_for_every_figure() {
    for (figure, total) in ["allocated", "live", "peak"].iter().zip(totals()) {
        let profile = leak().profile();
        let folded = text(&memprof(
            &["export", "--format", "folded", "--of", figure],
            &profile,
        ));
        let values = folded
            .lines()
            .map(|line| line.rsplit_once(' ').expect("a value").1);
        let sum: i64 = values
            .map(|value| value.parse::<i64>().expect("a number"))
            .sum();
        assert_eq!(sum, total, "{figure}");
        assert!(folded.contains("leak::main;leak::"), "{folded}");
    }
}

#[test]
fn speedscope_agrees() {
    let file = json("speedscope");
    let profiles = file["profiles"].as_array().unwrap();
    let total = |name: &str| {
        let profile = profiles
            .iter()
            .find(|profile| profile["name"] == name)
            .unwrap();
        let weights = profile["weights"].as_array().unwrap();
        assert_eq!(profile["samples"].as_array().unwrap().len(), weights.len());
        let sum = sum(weights);
        assert_eq!(profile["endValue"], sum);
        assert_eq!(
            (&profile["type"], &profile["unit"]),
            (&"sampled".into(), &"bytes".into())
        );
        sum
    };
    assert_eq!(
        ["alloc_space", "inuse_space", "peak_space"].map(total),
        totals()
    );
    assert!(file["shared"]["frames"][0]["name"].is_string());
}

/// What `table` of the Firefox Profiler's thread has in `column` for `row`.
fn cell<'a>(thread: &'a Value, table: &str, column: &str, row: &Value) -> &'a Value {
    &thread[table][column][row.as_u64().unwrap() as usize]
}

/// The functions of a stack of the Firefox Profiler's thread, innermost first.
fn names_of<'a>(thread: &'a Value, stack: &'a Value) -> Vec<&'a str> {
    let outwards = std::iter::successors(Some(stack), |stack| {
        Some(cell(thread, "stackTable", "prefix", stack)).filter(|prefix| !prefix.is_null())
    });
    let name = |stack| {
        let frame = cell(thread, "stackTable", "frame", stack);
        let function = cell(thread, "frameTable", "func", frame);
        let name = cell(thread, "funcTable", "name", function);
        thread["stringArray"][name.as_u64().unwrap() as usize]
            .as_str()
            .unwrap()
    };
    outwards.map(name).collect()
}

#[test]
fn firefox_agrees() {
    let file = json("firefox");
    let allocations = &file["threads"][0]["nativeAllocations"];
    let weights = allocations["weight"].as_array().unwrap();
    let allocated: i64 = (weights.iter())
        .map(|w| w.as_i64().unwrap())
        .filter(|w| *w > 0)
        .sum();
    assert_eq!([allocated, sum(weights)], [totals()[0], totals()[1]]);
    // What was freed stands where it was freed.
    let stacks = allocations["stack"].as_array().unwrap();
    let thread = &file["threads"][0];
    let freed_in_load = (stacks.iter().zip(weights))
        .filter(|(stack, _)| {
            let mut names = names_of(thread, stack).into_iter();
            let load = names.find(|name| name.starts_with("leak::load ("));
            load.is_some_and(|name| name.ends_with("leak.rs:15)"))
        })
        .map(|(_, weight)| weight.as_i64().unwrap());
    assert_eq!(freed_in_load.sum::<i64>(), -(64 << 20));
    // The page's range of time is that of the markers.
    let counter = &file["counters"][0];
    let deltas = counter["samples"]["timeDeltas"].as_array().unwrap();
    let last: f64 = deltas.iter().map(|delta| delta.as_f64().unwrap()).sum();
    let end = thread["markers"]["endTime"][0].as_f64().unwrap();
    assert!(end > last - 0.001, "{end} and {last}");
    assert_eq!(counter["category"], "Memory");
    let deltas = counter["samples"]["count"].as_array().unwrap();
    assert!(!deltas.is_empty());
}

#[test]
fn json_and_csv_agree() {
    let file = json("json");
    assert_eq!(file["schema"], "memprof-stacks/1");
    let stacks = file["stacks"].as_array().unwrap();
    let total = |figure: &str| sum(stacks.iter().map(|stack| &stack[figure]));
    assert_eq!(["allocated", "live", "peak"].map(total), totals());
    let nodes = file["nodes"].as_array().unwrap();
    for (number, node) in nodes.iter().enumerate().skip(1) {
        assert!(
            node["parent"].as_u64().unwrap() < number as u64,
            "parents first"
        );
    }

    let rows = text(&export("csv"));
    inert::in_csv(&rows);
    let mut rows = csv::Reader::from_reader(rows.as_bytes());
    let heading = rows.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    let total = |name: &str| -> i64 {
        let column = heading
            .iter()
            .position(|heading| heading == name)
            .expect(name);
        rows.iter()
            .map(|row| row[column].parse::<i64>().unwrap())
            .sum()
    };
    assert_eq!(
        ["alloc_space", "inuse_space", "peak_space"].map(total),
        totals()
    );
}

#[test]
fn go_tool_pprof_reads_it() {
    let go = Command::new("go").arg("version").output();
    if !go.is_ok_and(|output| output.status.success()) {
        return skip("go tool pprof: no go (apt-get install golang-go)");
    }
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("leak.pb.gz");
    fs::write(&file, export("pprof")).unwrap();
    let pprof = |arguments: &[&str]| {
        let output = (Command::new("go")
            .args(["tool", "pprof"])
            .args(arguments)
            .arg(&file))
        .env("HOME", folder.path())
        .env("PPROF_TMPDIR", folder.path())
        .output()
        .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let top = pprof(&["-top", "-cum", "-sample_index=inuse_space", "-unit=B"]);
    let total = totals()[1];
    assert!(top.contains(&format!("of {total}B total")), "{top}");
    assert!(top.contains("leak::serve"), "{top}");
    let list = pprof(&["-list=leak::serve", "-sample_index=inuse_space", "-unit=B"]);
    let line = list
        .lines()
        .find(|line| line.contains("vec![1_u8; 10_000]"));
    let line = line.unwrap_or_else(|| panic!("{list}"));
    assert!(line.contains("10000000B"), "{line}");
}
