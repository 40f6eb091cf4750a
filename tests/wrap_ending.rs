//! What a program with attributes prints, as its user sees it: at its end, at `exit`, after a
//! panic, and switched off.

#![forbid(unsafe_code)]

mod built;

use std::hint::black_box;
use std::process::{Command, Output, exit};

use profiler_alloc::measure::{Format, report, set_format};
use profiler_alloc::{ProfilerAlloc, elapsed_timer, profile, ram_profiler};

use built::{example, stripped_example, text};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// Runs one of the programs below in a process of its own.
fn program(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--ignored",
        "--exact",
        "--nocapture",
        "--test-threads=1",
        name,
    ]);
    command
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

#[profile(columns(occurrences), precision = 0)]
fn work(times: usize) -> usize {
    let mut sum = 0;
    for _ in 0..times {
        let taken = black_box(vec![1u8; 3 << 20]);
        sum += taken.len();
    }
    sum
}

#[ram_profiler(summary)]
#[elapsed_timer(summary)]
fn often(bytes: usize) {
    black_box(vec![1u8; bytes]);
}

#[test]
#[ignore = "a program for the tests below"]
fn ends() {
    work(3);
    work(2);
}

#[test]
#[ignore = "a program for the tests below"]
fn exits() {
    #[profile]
    fn leaves() {
        let taken = black_box(vec![1u8; 5 << 20]);
        exit(taken.len() as i32 >> 20);
    }
    leaves();
}

#[test]
#[ignore = "a program for the tests below"]
fn panics() {
    #[profile]
    fn fails() {
        let taken = black_box(vec![1u8; 5 << 20]);
        panic!("{} bytes", taken.len());
    }
    fails();
}

#[test]
#[ignore = "a program for the tests below"]
fn asks() {
    work(1);
    report();
    eprintln!("ASKED");
    report();
    eprintln!("ASKED AGAIN");
    work(1);
}

#[test]
#[ignore = "a program for the tests below"]
fn sums_up() {
    (1..=5).for_each(|times| often(times << 20));
}

#[test]
#[ignore = "a program for the tests below"]
fn speaks_json() {
    set_format(Format::Json);
    work(1);
    often(1);
    ram_profiler("a \"label\"", || ());
    elapsed_timer("b", || ());
}

#[test]
fn tables_come_at_the_end_one_per_function() {
    let output = run(&mut program("ends"));
    assert!(output.status.success());
    let expected = "
Line #    Mem usage    Increment  Occurrences   Line Contents
=============================================================
";
    let stderr = text(&output.stderr);
    assert_eq!(stderr.matches(expected).count(), 1, "{stderr}");
    let row = "       15 MiB            5           let taken = black_box";
    assert!(stderr.contains(row), "{stderr}");
    let row = "      -15 MiB                    }\n";
    assert!(stderr.contains(row), "{stderr}");
}

#[test]
fn exit_and_panics_print_them_too() {
    let output = run(&mut program("exits"));
    assert_eq!(output.status.code(), Some(5));
    let row = "5.0 MiB           let taken";
    assert!(
        text(&output.stderr).contains(row),
        "{}",
        text(&output.stderr)
    );

    let output = run(&mut program("panics"));
    assert!(!output.status.success());
    assert!(
        text(&output.stderr).contains(row),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn tables_come_on_request_and_not_twice() {
    let stderr = text(&run(&mut program("asks")).stderr);
    let (first, rest) = stderr.split_once("ASKED\n").unwrap();
    let (second, last) = rest.split_once("ASKED AGAIN\n").unwrap();
    let tables = [first, second, last].map(|part| part.matches("Filename: ").count());
    assert_eq!(tables, [1, 0, 1], "{stderr}");
}

#[test]
fn many_calls_are_summed_up() {
    let stderr = text(&run(&mut program("sums_up")).stderr);
    assert!(
        stderr.contains("===== often memory usage summary =====\nMEMORY :: calls: 5\n"),
        "{stderr}"
    );
    let rise = "MEMORY :: Heap in use, rise to peak  : min    +1.000 MiB  median    +3.000 MiB  max    +5.000 MiB  total   +15.000 MiB";
    assert!(stderr.contains(rise), "{stderr}");
    assert!(
        stderr.contains("===== often elapsed time summary =====\nELAPSED :: calls:  5\n"),
        "{stderr}"
    );
    assert_eq!(stderr.matches("often").count(), 2, "{stderr}");
}

#[test]
fn json_is_one_object_a_line() {
    let stderr = text(&run(&mut program("speaks_json")).stderr);
    let kinds: Vec<String> = stderr
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).expect(line);
            assert_eq!(value["version"], 1);
            value["kind"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "ram",
            "elapsed",
            "profile",
            "elapsed_summary",
            "ram_summary"
        ]
    );
}

#[test]
fn one_switch_turns_all_of_it_off() {
    for name in ["ends", "exits", "sums_up", "speaks_json"] {
        let output = run(program(name).env("MEMPROF_OFF", "1"));
        assert_eq!(text(&output.stderr), "", "{name}");
    }
    let output = run(program("ends").env("MEMPROF_OFF", "0"));
    assert!(text(&output.stderr).contains("Filename: "));
}

/// Figures that are different in every run, as `#`: times, what the system says, and the runtime's
/// own few bytes.
fn without_figures(text: &str) -> String {
    let mut shown = String::new();
    for line in text.lines() {
        let is_system = [
            "ELAPSED",
            "percentage",
            "percent:",
            "Current memory",
            "Heap in use",
        ];
        if is_system.iter().any(|part| line.contains(part)) {
            let words = line.split_ascii_whitespace().map(|word| {
                let is_figure = word
                    .trim_start_matches(['+', '-'])
                    .starts_with(|c: char| c.is_ascii_digit());
                if is_figure { "#" } else { word }
            });
            shown.push_str(&words.collect::<Vec<_>>().join(" "));
        } else {
            let words: Vec<&str> = line.split(' ').collect();
            for (index, word) in words.iter().enumerate() {
                let is_own = words.get(index + 1) == Some(&"KiB");
                shown.push_str(if index == 0 { "" } else { " " });
                shown.push_str(if is_own { "#.#" } else { word });
            }
        }
        shown.push('\n');
    }
    shown
}

#[test]
fn the_classic_example_looks_like_this() {
    let output = run(&mut Command::new(example("lists_profiled")));
    let stderr = text(&output.stderr);
    insta::assert_snapshot!(without_figures(&stderr));
}

#[test]
fn a_stripped_release_binary_shows_the_same_table() {
    let stripped = stripped_example("lists_profiled", "lists_profiled_stripped");
    let tables = [example("lists_profiled"), stripped].map(|program| {
        let stderr = text(&run(&mut Command::new(program)).stderr);
        stderr[stderr.find("Filename: ").unwrap()..].to_owned()
    });
    assert_eq!(tables[0], tables[1]);
}
