//! Profiles made to take long: tables as full as a reader takes them, in the shapes that cost most.
//! Whatever stands in a profile, reading it and making a view of it takes time by its length alone.
//!
//! `MEMPROF_TEST_FULL=1` fills the tables; otherwise a third of them, which makes files of some 16
//! MiB.

use std::io::{self, Cursor};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use memprof::defect::Defect;
use memprof::profile::builder::Builder;
use memprof::profile::{Frame, parse};
use memprof::render::{Json, Renderer};
use memprof::report::{Calls, Granularity, Report, Scope, Stacks, Summary, Timeline};
use memprof::source::{Places, Sources};
use memprof::symbolize::{SymbolizeOptions, symbolize};
use profiler_alloc::ProfilerAlloc;
use profiler_alloc_format::{Line, Module, Node, Point, Share, Stack, Thread};
use rustix::time::{ClockId, clock_gettime};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// For reading, the requirement is a second of the optimized program, which takes a tenth of that.
const MOST_READING: Duration = Duration::from_secs(if cfg!(debug_assertions) { 5 } else { 1 });

/// For one view of hundreds of thousands of functions. What goes through them once for each of them
/// takes minutes.
const MOST_VIEWING: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 5 });

/// Most memory that reading any file may take.
const MOST_MEMORY: u64 = 256 << 20;

/// Records of so many bytes in a table that may be so many MiB long.
fn most(len: usize, mib: usize) -> usize {
    let part = if std::env::var_os("MEMPROF_TEST_FULL").is_some() {
        1
    } else {
        3
    };
    (mib << 20) / len / part
}

/// Of the whole process, so that a machine with other work makes no difference.
fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn in_time<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let most = match what {
        "reading" => MOST_READING,
        _ => MOST_VIEWING,
    };
    let start = cpu_time();
    let done = work();
    let took = cpu_time() - start;
    eprintln!("{what}: {took:?}");
    assert!(took < most, "{what}: {took:?}");
    done
}

/// Reads the profile and makes every view of it; what was wrong with it.
fn spring(trap: Builder) -> Vec<Defect> {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let bytes = trap.to_bytes();
    drop(trap);
    eprintln!("{} MiB", bytes.len() >> 20);
    let before = profiler_alloc::heap_in_use();
    let read = in_time("reading", || parse("trap".as_ref(), Cursor::new(&bytes)));
    let (profile, mut defects) = read.unwrap();
    let memory = profiler_alloc::heap_in_use() - before;
    assert!(memory < MOST_MEMORY as _, "{memory} bytes");

    let looked_up = in_time("symbols", || {
        symbolize(&profile, &SymbolizeOptions::default())
    });
    let (symbols, _) = looked_up.unwrap();
    let mut sources = Sources::new(Places::default());
    let report = in_time("report", || {
        Report::new(&profile, &symbols, &mut sources, Scope::All, Vec::new())
    });
    in_time("its JSON", || Json.report(&report, &mut io::sink())).unwrap();
    defects.extend(report.defects);
    in_time("exact tables", || {
        Report::exact(&profile, &mut sources, Vec::new())
    });
    in_time("summary", || {
        Summary::new(&profile, &symbols, &mut sources, Vec::new())
    });
    in_time("timeline", || Timeline::new(&profile, Vec::new()));
    let stacks = in_time("stacks", || {
        Stacks::new(&profile, &symbols, &mut sources, Vec::new())
    });
    in_time("lines that allocate", || stacks.sites());
    in_time("restricted stacks", || {
        stacks.restricted(Scope::User, Granularity::Line)
    });
    in_time("calls", || {
        Calls::new(&profile, &symbols, &mut sources, Vec::new())
    });
    defects
}

/// A profile of a library whose file is not there, with as many nodes as there may be; and stacks
/// that end in the last of them.
fn tree(parent: impl Fn(u32) -> u32, address: impl Fn(u32) -> u64) -> Builder {
    let mut builder = Builder::new();
    builder.module("/none/app");
    let library = builder.module("/none/library.so");
    let count = most(Node::LEN, 24) as u32;
    let node = |number| Node {
        parent: parent(number),
        frame: Frame::new(library, address(number)).to_bits(),
        ..Node::empty()
    };
    builder.nodes.extend((1..count).map(node));
    let stack = |number| Stack {
        node: count - number,
        alloc_bytes: 1,
        live_bytes: 1,
        ..Stack::empty()
    };
    let stacks = most(Stack::LEN, 24) as u32;
    builder.stacks.extend((1..stacks).map(stack));
    builder
}

#[test]
fn one_chain_of_calls_that_every_thread_stands_at_the_end_of() {
    let mut trap = tree(|number| number - 1, |number| 1 + u64::from(number) % 97);
    let last_node = trap.nodes.len() as u32 - 1;
    let thread = |number: usize| Thread {
        sequence: 1,
        last_node,
        last_heap: number as u64,
        ..Thread::empty()
    };
    (trap.threads).extend((1..most(Thread::LEN, 4)).map(thread));
    assert_eq!(spring(trap), []);
}

#[test]
fn one_function_that_calls_all_others() {
    assert_eq!(spring(tree(|_| 0, u64::from)), []);
}

#[test]
fn modules_that_all_have_the_same_long_path() {
    let mut trap = Builder::new();
    trap.strings = vec![b'x'; most(1, 4)];
    let module = Module {
        start: 1,
        path_len: trap.strings.len() as u32,
        ..Module::empty()
    };
    trap.modules = vec![module; most(Module::LEN, 4)];
    let modules = trap.modules.len() as u64 - 1;
    assert_eq!(spring(trap), [Defect::PathsDropped { modules }]);
}

#[test]
fn functions_whose_files_are_nowhere_in_many_folders() {
    let mut trap = Builder::new();
    let folder = "/x".repeat(40);
    while trap.strings.len() < most(1, 4) - 100 {
        let number = trap.functions.len();
        let function = trap.profiled("", &number.to_string(), (1, 1));
        trap.share(function, &[(1, 1, 1, 1)]);
        trap.functions[function].folder_at = trap.strings.len() as u32;
        trap.functions[function].folder_len = folder.len() as u32;
        trap.strings.extend_from_slice(folder.as_bytes());
    }
    let functions = trap.functions.len();
    let not_sought = |defect: &Defect| match defect {
        Defect::SourcesNotSought { files } => Some(*files as usize),
        _ => None,
    };
    let files = spring(trap).iter().find_map(not_sought).unwrap();
    assert!((1..functions).contains(&files), "{files} of {functions}");
}

#[test]
fn functions_and_shares_of_as_many_lines_as_there_may_be() {
    let mut trap = Builder::new();
    let lines = most(Line::LEN, 24) as u32;
    trap.profiled("app::f", "none.rs", (1, lines));
    // Each wants all lines; one gets them.
    let share = Share {
        function: 1,
        line_count: lines,
        ..Share::empty()
    };
    trap.shares = vec![share; most(Share::LEN, 24)];
    trap.lines = (1..=lines)
        .map(|number| Line {
            number,
            runs: 1,
            ..Line::empty()
        })
        .collect();
    let records = trap.shares.len() as u64 - 1;
    assert_eq!(spring(trap), [Defect::ExactRecordsDropped { records }]);
}

#[test]
fn a_timeline_that_goes_to_and_fro() {
    let mut trap = Builder::new();
    let points = most(Point::LEN, 4) as u64;
    trap.timeline = (0..points)
        .map(|number| Point {
            time_ns: 1 + (number ^ 1),
            ..Point::empty()
        })
        .collect();
    assert_eq!(spring(trap), [Defect::PointsDropped { points: points / 2 }]);
}
