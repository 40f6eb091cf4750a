//! Reports of `ram_profiler` and `elapsed_timer`: their figures, where they go, and that they never
//! mix.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use profiler_alloc::measure::{
    ElapsedReport, ElapsedTimer, Format, Output, RamProfiler, RamReport, Report, set_format,
    set_output,
};
use profiler_alloc::{ProfilerAlloc, elapsed_timer, ram_profiler};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// There is one output in a process: tests take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The reports that `work` makes.
fn reports_of(work: impl FnOnce()) -> Vec<Report> {
    let reports: Arc<Mutex<Vec<Report>>> = Arc::default();
    let sink = Arc::clone(&reports);
    set_output(Output::callback(move |report| {
        sink.lock().unwrap().push(report.clone())
    }));
    work();
    set_output(Output::Stderr);
    let reports = reports.lock().unwrap();
    reports.clone()
}

fn ram_of(work: impl FnOnce()) -> RamReport {
    match reports_of(|| ram_profiler("work", work)).pop() {
        Some(Report::Ram(report)) => report,
        other => panic!("{other:?}"),
    }
}

fn elapsed_of(work: impl FnOnce()) -> ElapsedReport {
    match reports_of(|| elapsed_timer("work", work)).pop() {
        Some(Report::Elapsed(report)) => report,
        other => panic!("{other:?}"),
    }
}

fn block(bytes: usize) -> Vec<u8> {
    black_box(vec![1u8; bytes])
}

#[test]
fn the_heap_is_exact_before_after_and_at_its_peak() {
    let _turn = turn();
    let mut kept = Vec::new();
    let heap = ram_of(|| {
        drop(block(3000));
        kept = block(1000);
        drop(block(1500));
    })
    .heap
    .unwrap();
    assert_eq!(
        (heap.own_allocated, heap.own_freed, heap.own_peak),
        (5500, 4500, 3000)
    );
    // The process's own peak, to what the harness's other threads do meanwhile.
    let rise = heap.peak - heap.before;
    assert!((rise - 3000).abs() < 64 << 10, "{heap:?}");
    drop(kept);
    // A block from before that goes is no credit.
    let old = block(1 << 20);
    let heap = ram_of(|| {
        drop(old);
        drop(block(9000));
    });
    assert_eq!(heap.heap.unwrap().own_peak, 9000);
}

#[test]
fn the_peak_sees_other_threads() {
    let _turn = turn();
    let heap = ram_of(|| {
        thread::scope(|scope| drop(scope.spawn(|| drop(block(90 << 20)))));
    })
    .heap
    .unwrap();
    let rise = heap.peak - heap.before;
    assert!((rise - (90 << 20)).abs() < 64 << 10, "{heap:?}");
    assert!(heap.own_peak < 1 << 20, "{heap:?}");
}

#[test]
fn the_system_is_asked_for_its_peak_too() {
    let _turn = turn();
    let reports = reports_of(|| {
        let outer = RamProfiler::start_with_peak_rss("outer");
        drop(block(80 << 20));
        let inner = RamProfiler::start_with_peak_rss("inner");
        drop(block(40 << 20));
        drop(inner);
        drop(outer);
    });
    let rise = |report: &Report| match report {
        Report::Ram(report) => (report.peak_rss.unwrap() - report.before.rss) >> 20,
        other => panic!("{other:?}"),
    };
    let rises: Vec<u64> = reports.iter().map(rise).collect();
    // The inner scope sets the mark back, and the outer one keeps what it was.
    assert!(
        (35..50).contains(&rises[0]) && (75..90).contains(&rises[1]),
        "{rises:?}"
    );
}

#[test]
fn memory_that_the_process_kept_is_noted() {
    let _turn = turn();
    let report = ram_of(|| {
        // Small blocks, the last of them kept: the system's allocator cannot give their pages back.
        let blocks: Vec<Vec<u8>> = (0..200_000).map(|_| block(100)).collect();
        std::mem::forget(block(100));
        drop(blocks);
    });
    let text = report.to_string();
    assert!(text.contains(" that the process's memory kept)"), "{text}");
}

#[test]
fn waiting_takes_time_and_no_cpu() {
    let _turn = turn();
    let report = elapsed_of(|| thread::sleep(Duration::from_millis(50)));
    assert!(report.duration_ns >= 50_000_000, "{report:?}");
    assert!(report.thread_cpu_ns < 20_000_000, "{report:?}");
    assert_eq!(report.end_ns - report.start_ns, report.duration_ns);
}

/// Keeps every write apart.
#[derive(Clone, Default)]
struct Writes(Arc<Mutex<Vec<String>>>);

impl Write for Writes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap()
            .push(String::from_utf8(bytes.to_vec()).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[elapsed_timer]
#[ram_profiler]
fn nested(depth: u32) {
    if depth > 0 {
        nested(depth - 1);
    }
}

#[test]
fn a_report_is_one_write() {
    let _turn = turn();
    let writes = Writes::default();
    set_output(Output::writer(writes.clone()));
    thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(|| nested(9)))));
    set_output(Output::Stderr);
    let writes = writes.0.lock().unwrap();
    assert_eq!(writes.len(), 8 * 10 * 2);
    for write in writes.iter() {
        let is_whole = write.starts_with("===== memory usage check =====\n")
            && write.contains("PEAK INSIDE")
            || write.starts_with("===== nested elapsed time check =====\n")
                && write.contains("CPU time");
        assert!(is_whole && write.ends_with('\n'), "{write}");
    }
}

#[test]
fn reports_go_to_a_file_as_json() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reports");
    set_output(Output::file(&path).unwrap());
    set_format(Format::Json);
    nested(0);
    set_format(Format::Text);
    set_output(Output::Stderr);
    let text = std::fs::read_to_string(path).unwrap();
    let kinds = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let kinds: Vec<_> = kinds.map(|value| value["kind"].clone()).collect();
    assert_eq!(kinds, ["ram", "elapsed"]);
}

#[test]
fn a_callback_may_be_measured_itself() {
    let _turn = turn();
    let reports = reports_of(|| {
        set_output(Output::callback(|_| nested(3)));
        nested(0);
    });
    assert!(reports.is_empty());
}

#[test]
fn an_output_that_panics_or_fails_does_no_harm() {
    let _turn = turn();
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    set_output(Output::writer(Full));
    nested(0);
    set_output(Output::callback(|_| panic!("the callback's own")));
    nested(0);
    set_output(Output::Stderr);
}

#[test]
fn scopes_measure_the_middle_of_a_function() {
    let _turn = turn();
    let reports = reports_of(|| {
        let before = block(100);
        let timer = ElapsedTimer::start("middle");
        let memory = RamProfiler::start("middle");
        let inside = block(1000);
        drop(memory);
        drop(timer);
        drop((before, inside));
    });
    let [Report::Ram(ram), Report::Elapsed(elapsed)] = &reports[..] else {
        panic!("{reports:?}");
    };
    assert_eq!(ram.heap.unwrap().own_allocated, 1000);
    assert_eq!(elapsed.label, "middle");
}
