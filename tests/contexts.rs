//! For whom memory is: contexts by guards, futures and spans, against a ledger that a server keeps
//! itself.

#[path = "analyst/pprof.rs"]
#[allow(dead_code, reason = "of pprof's messages, labels are looked at")]
mod pprof;
mod server;

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use memprof::profile::{self, NodeId, Profile, Totals};
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::profiles::v1development::ProfilesData;
use profiler_alloc::measure::{Budget, Limit};
use profiler_alloc::{
    Context, ContextLayer, ContextStats, InContext, ProfilerAlloc, Recording, Sample, contexts,
};
use prost::Message;
use server::{CLIENTS, REQUESTS, ROUTES, Server};
use tempfile::TempDir;
use tracing::Instrument;
use tracing_subscriber::prelude::*;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// A process has one recording at a time.
static ONE: Mutex<()> = Mutex::new(());

/// Of one context; of no request yet if nobody entered it.
fn stats(key: &str, value: &str) -> ContextStats {
    let mut all = contexts().into_iter();
    (all.find(|context| context.key == key && context.value == value))
        .unwrap_or_else(|| panic!("no context {key}={value}"))
}

/// Runs the server, every block recorded, each request inside what `wrap` makes of it.
fn run<F, W>(wrap: W) -> (Arc<Server>, Profile, TempDir)
where
    F: Future<Output = ()> + Send + 'static,
    W: Fn(Arc<Server>, u64) -> F + Copy + Send + 'static,
{
    run_sampled(Sample::All, REQUESTS, wrap)
}

/// The same, recorded so, with so many requests of each client.
fn run_sampled<F, W>(sample: Sample, requests: u64, wrap: W) -> (Arc<Server>, Profile, TempDir)
where
    F: Future<Output = ()> + Send + 'static,
    W: Fn(Arc<Server>, u64) -> F + Copy + Send + 'static,
{
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let server = Arc::new(Server::new(requests));
    let path = folder.path().join("x.memprof");
    let recording = Recording::builder().path(&path).sample(sample);
    let recording = recording.start().unwrap();
    runtime.block_on(async {
        let background = Arc::clone(&server);
        let mut tasks = vec![tokio::spawn(async move { background.clean_up().await })];
        for client in 0..CLIENTS {
            let server = Arc::clone(&server);
            tasks.push(tokio::spawn(async move {
                for request in server.requests(client) {
                    wrap(Arc::clone(&server), request).await;
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
    drop(recording);
    let (profile, defects) = profile::read(&path).unwrap();
    assert_eq!(defects, []);
    (server, profile, folder)
}

/// The sum over the stacks of a context.
fn recorded(profile: &Profile, key: &str, value: &str) -> Totals {
    let mut sum = Totals::default();
    for stack in &profile.stacks {
        let mut in_force = profile.contexts.in_force(stack.contexts).iter();
        let context = |&id: &usize| &profile.contexts.all[id];
        if in_force.any(|id| context(id).key == key && context(id).value == value) {
            sum.add(&stack.totals);
        }
    }
    sum
}

/// Everything that is known of the routes is what the ledger says, to the byte.
fn check_against_ledger(server: &Server, profile: &Profile, key: &str) {
    for (route, ledger) in ROUTES.iter().zip(&server.ledgers) {
        let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let (allocated, freed) = (of(&ledger.allocated), of(&ledger.freed));
        let sum = recorded(profile, key, route);
        assert_eq!(sum.alloc_bytes as u64, allocated, "{route}: allocated");
        assert_eq!(sum.freed_bytes as u64, freed, "{route}: freed");
        assert_eq!(sum.live_bytes as u64, of(&ledger.kept), "{route}: live");

        let mut of_profile = profile.contexts.all.iter();
        let context = of_profile.find(|context| context.key == key && context.value == *route);
        let context = context.expect("the profile names it");
        let stats = stats(key, route);
        for (bytes, blocks, freed_bytes, entries, most) in [
            (
                context.alloc_bytes,
                context.allocs,
                context.freed_bytes,
                context.entries,
                context.most_in_entry,
            ),
            (
                stats.allocated_bytes,
                stats.allocations,
                stats.freed_bytes,
                stats.entries,
                stats.most_in_entry,
            ),
        ] {
            assert_eq!((bytes, freed_bytes), (allocated, freed), "{route}: counts");
            assert_eq!(blocks, of(&ledger.allocations), "{route}: blocks");
            assert_eq!(entries, of(&ledger.requests), "{route}: entries");
            assert_eq!(most, of(&ledger.most), "{route}: most");
        }
        let median = stats.entry_bytes(0.5).unwrap();
        assert!(
            median.abs_diff(of(&ledger.most)) <= of(&ledger.most) / 8,
            "{median}"
        );
    }
    // What is in no context is not the routes'.
    let in_none: i64 = (profile.stacks.iter())
        .filter(|stack| profile.contexts.in_force(stack.contexts).is_empty())
        .map(|stack| stack.totals.alloc_bytes)
        .sum();
    assert!(in_none > 0, "tokio's own tasks");
}

#[test]
fn futures_in_contexts_agree_with_the_servers_ledger() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (server, profile, folder) = run(|server, request| {
        let route = ROUTES[(request % 4) as usize];
        async move { server.serve(request).await }.in_context("route", route)
    });
    check_against_ledger(&server, &profile, "route");

    let memprof = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_memprof"));
        let output = command.args(arguments).current_dir(folder.path()).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let json = memprof(&["contexts", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let rows = json["keys"][0]["contexts"].as_array().unwrap();
    let of_leak = rows.iter().find(|row| row["value"] == "/leak").unwrap();
    let ledger = &server.ledgers[1];
    assert_eq!(of_leak["live"], ledger.kept.load(Ordering::Relaxed));
    assert_eq!(
        of_leak["exact"]["alloc_bytes"],
        ledger.allocated.load(Ordering::Relaxed)
    );
    let line = of_leak["lines"][0]["function"].as_str().unwrap();
    assert!(line.ends_with("Server::take"), "{line}");

    check_labels(&server, folder.path());

    let table = memprof(&["report", "--context", "route=/leak"]);
    assert!(table.contains("black_box(vec![1; len])"), "{table}");
}

/// What a recording says of the routes lies as often within so many of its standard errors as it
/// states: of all runs, and of all figures with 1 % of the whole or more, 95 % within 1.96.
#[test]
fn sampled_routes_are_within_the_stated_error() {
    const RUNS: usize = 10;
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    for sample in [Sample::Auto, Sample::Every(4096)] {
        let mut errors = Vec::new();
        for _ in 0..RUNS {
            let (server, profile, _folder) = run_sampled(sample, 1000, |server, request| {
                let route = ROUTES[(request % 4) as usize];
                async move { server.serve(request).await }.in_context("sampled", route)
            });
            let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
            let ledgers = server.ledgers.iter();
            let whole = ledgers.fold([0, 0], |[allocated, kept], ledger| {
                [allocated + of(&ledger.allocated), kept + of(&ledger.kept)]
            });
            for (route, ledger) in ROUTES.iter().zip(&server.ledgers) {
                let sum = recorded(&profile, "sampled", route);
                for (found, variance, truth, whole) in [
                    (
                        sum.alloc_bytes,
                        sum.alloc_variance,
                        of(&ledger.allocated),
                        whole[0],
                    ),
                    (
                        sum.live_bytes,
                        sum.live_variance,
                        of(&ledger.kept),
                        whole[1],
                    ),
                ] {
                    if truth < whole / 100 {
                        continue;
                    }
                    // A weight is rounded to a byte.
                    let off = (found - truth as i64).abs() as f64;
                    errors.push((off - 1.0).max(0.0) / variance.sqrt().max(1.0));
                }
            }
        }
        let within = errors.iter().filter(|&&error| error <= 1.96).count();
        let share = within as f64 / errors.len() as f64;
        println!(
            "{sample:?}: {within} of {} within the stated error",
            errors.len()
        );
        // Five standard errors of the share, where what a route allocated and what it has live are
        // of the same samples.
        let chance = 5.0 * (0.95_f64 * 0.05 / (errors.len() as f64 / 2.0)).sqrt();
        assert!(share >= 0.95 - chance, "{sample:?}: {errors:?}");
    }
}

/// What tools with labels are given: bytes allocated by route in pprof, and in OTLP's form.
fn check_labels(server: &Server, folder: &Path) {
    let export = |form: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_memprof"));
        command
            .args(["export", "--format", form])
            .current_dir(folder);
        command.output().unwrap().stdout
    };
    let file = pprof::decode(&export("pprof"));
    let string = |index: i64| file.string_table[index as usize].as_str();
    let data = ProfilesData::decode(&*export("otlp")).expect("protobuf");
    let dictionary = data.dictionary.expect("tables");
    let text = |index: i32| dictionary.string_table[index as usize].as_str();
    let profiles = &data.resource_profiles[0].scope_profiles[0].profiles;
    let allocated = profiles.iter().find(|profile| {
        let kind = profile.sample_type.unwrap();
        text(kind.type_strindex) == "alloc_space"
    });
    for (route, ledger) in ROUTES.iter().zip(&server.ledgers) {
        let is_of = |sample: &&pprof::Sample| {
            let mut labels = sample.label.iter();
            labels.any(|label| (string(label.key), string(label.text)) == ("route", route))
        };
        let of_route = file.sample.iter().filter(is_of);
        let in_pprof: i64 = of_route.map(|sample| sample.value[1]).sum();
        let value = Some(any_value::Value::StringValue((*route).to_owned()));
        let is_of = |&index: &i32| {
            let attribute = &dictionary.attribute_table[index as usize];
            let is_route = text(attribute.key_strindex) == "route";
            is_route
                && attribute
                    .value
                    .as_ref()
                    .is_some_and(|known| known.value == value)
        };
        let samples = allocated.unwrap().samples.iter();
        let of_route = samples.filter(|sample| sample.attribute_indices.iter().any(is_of));
        let in_otlp: i64 = of_route.map(|sample| sample.values[0]).sum();
        let expected = ledger.allocated.load(Ordering::Relaxed) as i64;
        assert_eq!([in_pprof, in_otlp], [expected, expected], "{route}");
    }
}

#[test]
fn spans_agree_with_the_servers_ledger() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let layer = ContextLayer::new().field("http.route").spans_only();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).expect("no other test sets one");
    let (server, profile, _folder) = run(|server, request| {
        let route = ROUTES[(request % 4) as usize];
        // Some say it later, as those do that match the route inside the span.
        let span = match request % 8 < 4 {
            true => tracing::info_span!("request", http.route = route),
            false => {
                let span = tracing::info_span!("request", http.route = tracing::field::Empty);
                span.record("http.route", route);
                span
            }
        };
        async move {
            let inner = tracing::info_span!("handler");
            server.serve(request).instrument(inner).await
        }
        .instrument(span)
    });
    check_against_ledger(&server, &profile, "http.route");
}

#[test]
fn guards_nest_and_threads_carry_them() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    {
        let _tenant = profiler_alloc::context("guard tenant", "acme");
        drop(black_box(vec![0u8; 100]));
        {
            let _route = profiler_alloc::context("guard route", "/inner");
            drop(black_box(vec![0u8; 20]));
            let here = Context::current();
            std::thread::scope(|scope| {
                let work = here.wrap(|| drop(black_box(vec![0u8; 3])));
                scope.spawn(work);
            });
        }
        let _other = profiler_alloc::context("guard tenant", "other");
        drop(black_box(vec![0u8; 5000]));
    }
    let acme = stats("guard tenant", "acme");
    let route = stats("guard route", "/inner");
    let other = stats("guard tenant", "other");
    // A thread's own start is in it too, which is std's.
    assert!((23..3000).contains(&route.allocated_bytes), "{route:?}");
    assert_eq!(
        acme.allocated_bytes,
        route.allocated_bytes + 100,
        "one of a key at a time"
    );
    assert_eq!(other.allocated_bytes, 5000);
    assert_eq!(
        [acme.entries, route.entries, other.entries],
        [1, 1, 1],
        "carried is no entry"
    );
    assert_eq!(
        acme.most_in_entry,
        acme.allocated_bytes + 5000 - 3,
        "of its own thread"
    );
    assert_eq!(Context::current(), Context::NONE);
}

/// On a thread of its own, `bytes` in the context and 1 MiB beside it.
fn serve_elsewhere(value: &'static str, bytes: usize) -> Vec<u8> {
    let work = move || {
        let beside = black_box(vec![0u8; 1 << 20]);
        let served = {
            let _context = profiler_alloc::context("budget", value);
            drop(black_box(vec![0u8; bytes]));
            black_box(vec![0u8; 10])
        };
        drop(beside);
        served
    };
    std::thread::spawn(work).join().unwrap()
}

#[test]
fn a_budget_of_a_context_counts_all_threads_and_nothing_else() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let budget = Budget::new().in_context("budget", "/x");
    let heap = budget.max_heap(1000);
    drop(heap.check(|| serve_elsewhere("/x", 1000)).unwrap());
    drop(heap.check(|| serve_elsewhere("/y", 5000)).unwrap());
    let broken = heap.check(|| serve_elsewhere("/x", 1001)).unwrap_err();
    assert_eq!(
        broken.to_string(),
        "in the context budget=/x, on all threads:\nmax_heap: limit 1.0 KiB (1000 B), used 1.0 KiB (1001 B)"
    );
    let both = || {
        let threads = [500, 501].map(|bytes| move || drop(serve_elsewhere("/x", bytes)));
        threads.into_iter().for_each(|thread| thread());
    };
    assert_eq!(
        budget.max_allocations(3).check(both).unwrap_err().limits,
        [Limit::Allocations { limit: 3, used: 4 }]
    );
    // What is freed beside it is not freed in it.
    assert_eq!(
        budget.no_leaks().check(both).unwrap_err().limits,
        [Limit::Leak { bytes: 20 }]
    );
    profiler_alloc::assert_max_heap!(1000, context("budget", "/x"), both());
    limited();
    let panic = std::panic::catch_unwind(over_the_limit).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("in the context budget=/x"), "{message}");
}

#[profiler_alloc::budget(max_heap = "100 B", context = "budget=/x")]
fn limited() {
    drop(serve_elsewhere("/x", 90));
}

#[profiler_alloc::budget(max_heap = "100 B", context = "budget=/x")]
fn over_the_limit() {
    drop(serve_elsewhere("/x", 190));
}

#[test]
fn contexts_and_queries_are_carried_alike() {
    use profiler_alloc::queries::{Handle, QueryEvent, record};

    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    /// Asks when it is dropped.
    struct RollsBack(usize);
    impl Drop for RollsBack {
        fn drop(&mut self) {
            record(QueryEvent::new("a database", "ROLLBACK"));
            drop(black_box(vec![0u8; self.0]));
        }
    }
    let _context = profiler_alloc::context("carried", "both");
    let future = |bytes| async move {
        let _transaction = RollsBack(bytes);
        record(QueryEvent::new("a database", "SELECT 1"));
        std::future::pending::<()>().await;
    };
    let count = |given_up: bool| {
        Budget::new().num_queries(0).check(|| {
            let future = Context::current().carry(Handle::current().carry(future(700)));
            std::thread::spawn(move || {
                let mut future = Box::pin(future);
                let mut task = std::task::Context::from_waker(std::task::Waker::noop());
                assert!(future.as_mut().poll(&mut task).is_pending());
                match given_up {
                    true => drop(future),
                    false => std::mem::forget(future),
                }
            })
            .join()
            .unwrap();
        })
    };
    let used = |given_up| count(given_up).unwrap_err().limits;
    assert_eq!(
        used(false),
        [Limit::NumQueries {
            expected: 0,
            used: 1
        }]
    );
    let before = stats("carried", "both").allocated_bytes;
    assert_eq!(
        used(true),
        [Limit::NumQueries {
            expected: 0,
            used: 2
        }]
    );
    assert!(stats("carried", "both").allocated_bytes - before >= 700);
}

#[test]
fn a_future_that_is_given_up_frees_in_its_context() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let future = |held: Vec<u8>| async move {
        std::future::pending::<()>().await;
        drop(held);
    };
    let context = |value| move |future| InContext::in_context(future, "given up", value);
    // Never polled: its capture is freed in the context, and it is no entry.
    drop(context("unpolled")(future(vec![0; 300])));
    let mut polled = Box::pin(context("polled")(future(vec![0; 500])));
    let mut task = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(polled.as_mut().poll(&mut task).is_pending());
    drop(polled);
    let unpolled = stats("given up", "unpolled");
    assert_eq!((unpolled.freed_bytes, unpolled.entries), (300, 0));
    let polled = stats("given up", "polled");
    assert_eq!(
        (polled.freed_bytes, polled.entries, polled.allocated_bytes),
        (500, 1, 0)
    );
}

#[test]
fn a_function_is_not_left_when_the_context_changes() {
    const BIG: i64 = 1 << 20;
    const SMALL: i64 = 77_777;
    fn work() {
        let big = {
            let _context = profiler_alloc::context("ways", "a");
            black_box(vec![0u8; BIG as usize])
        };
        {
            let _context = profiler_alloc::context("ways", "b");
            drop(black_box(vec![0u8; SMALL as usize]));
        }
        drop(big);
    }

    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.memprof");
    let recording = Recording::builder().path(&path).sample(Sample::All);
    let recording = recording.start().unwrap();
    work();
    drop(recording);
    let (profile, _) = profile::read(&path).unwrap();
    let nodes_of = |bytes: i64| -> Vec<NodeId> {
        let mut stacks = profile.stacks.iter();
        let stack = stacks
            .find(|stack| stack.totals.alloc_bytes == bytes)
            .unwrap();
        let above = |&node: &NodeId| Some(profile.nodes[node as usize].parent);
        let path = std::iter::successors(Some(stack.node), above);
        path.take_while(|&node| node != 0).collect()
    };
    let (big, small) = (nodes_of(BIG), nodes_of(SMALL));
    let heap_after = |node: NodeId| profile.nodes[node as usize].heap_after.unwrap_or(0);
    let high = profile.header.peak as i64 - BIG / 2;
    assert!(
        big.iter().any(|&node| heap_after(node) > high),
        "its own line was left with it"
    );
    // Whoever called it went on all the while, and came back with the heap as it was.
    let common = big.iter().filter(|node| small.contains(node));
    // Further out, other tests go through the same frames meanwhile.
    let common: Vec<i64> = common.take(3).map(|&node| heap_after(node)).collect();
    assert!(
        common.len() == 3 && common.iter().all(|&heap| heap < high),
        "{common:?}, {high}"
    );
}
