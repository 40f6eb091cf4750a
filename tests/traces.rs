//! From a line to a trace: the ids that OpenTelemetry gives to a span lead from an exported sample
//! to it, whatever the order of the layers.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_proto::tonic::profiles::v1development::{
    ProfilesData, ProfilesDictionary, Sample,
};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use profiler_alloc::{ContextLayer, ProfilerAlloc, Recording};
use prost::Message;
use tracing::{Subscriber, info_span};
use tracing_opentelemetry::{OpenTelemetrySpanExt, get_otel_context};
use tracing_subscriber::layer::Layered;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// A process has one recording at a time.
static ONE: Mutex<()> = Mutex::new(());

/// As exported: the id of a trace and that of a span.
type Ids = (Vec<u8>, Vec<u8>);

fn contexts() -> ContextLayer {
    ContextLayer::new()
        .field("http.route")
        .span_ids(|id, dispatch| {
            let context = get_otel_context(id, dispatch)?;
            let span = context.span().span_context().clone();
            (span.is_sampled()).then(|| (span.trace_id().to_bytes(), span.span_id().to_bytes()))
        })
}

fn opentelemetry<S>(sampler: Sampler) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
    tracing_opentelemetry::layer().with_tracer(provider.tracer("tests"))
}

fn ours_first(sampler: Sampler) -> impl Subscriber + Send + Sync {
    tracing_subscriber::registry()
        .with(contexts())
        .with(opentelemetry(sampler))
}

fn ours_last(sampler: Sampler) -> impl Subscriber + Send + Sync {
    let with: Layered<_, Registry> = tracing_subscriber::registry().with(opentelemetry(sampler));
    with.with(contexts())
}

/// What OpenTelemetry itself says of the span that the thread is in.
fn ids_here() -> Ids {
    let context = tracing::Span::current().context();
    let span = context.span().span_context().clone();
    (
        span.trace_id().to_bytes().to_vec(),
        span.span_id().to_bytes().to_vec(),
    )
}

#[inline(never)]
fn answer(len: usize) -> Vec<u8> {
    black_box(vec![1; len])
}

#[inline(never)]
fn query(len: usize) -> Vec<u8> {
    black_box(vec![2; len])
}

/// Two requests on one stack, the second with a query in a span of its own; and some work of none.
fn serve() -> Vec<Ids> {
    let mut kept = vec![answer(100)];
    let mut seen = Vec::new();
    for (requests, len) in [(2, 3000), (3, 5000)] {
        info_span!("request", http.route = "/orders").in_scope(|| {
            for _ in 0..requests {
                kept.push(answer(len));
            }
            seen.push(ids_here());
            info_span!("query").in_scope(|| {
                kept.push(query(len + 7));
                seen.push(ids_here());
            });
            kept.push(answer(1));
        });
    }
    seen
}

/// Bytes allocated in `function`, by the span that the sample leads to.
fn by_span(data: &ProfilesData, function: &str) -> BTreeMap<Option<Ids>, i64> {
    let tables = data.dictionary.as_ref().expect("tables");
    let text = |index: i32| tables.string_table[index as usize].as_str();
    let profiles = &data.resource_profiles[0].scope_profiles[0].profiles;
    let allocated = profiles.iter().find(|profile| {
        profile
            .sample_type
            .is_some_and(|kind| text(kind.type_strindex) == "alloc_space")
    });
    let mut sums = BTreeMap::new();
    for sample in &allocated.expect("a profile").samples {
        if goes_through(tables, sample, function) {
            let link = &tables.link_table[sample.link_index as usize];
            let ids = (link.trace_id.clone(), link.span_id.clone());
            let ids = Some(ids).filter(|_| sample.link_index != 0);
            *sums.entry(ids).or_default() += sample.values[0];
        }
    }
    sums
}

fn goes_through(tables: &ProfilesDictionary, sample: &Sample, function: &str) -> bool {
    let stack = &tables.stack_table[sample.stack_index as usize];
    let locations = stack
        .location_indices
        .iter()
        .map(|&at| &tables.location_table[at as usize]);
    let lines = locations.flat_map(|location| &location.lines);
    let functions = lines.map(|line| &tables.function_table[line.function_index as usize]);
    let mut names = functions.map(|of| &tables.string_table[of.name_strindex as usize]);
    names.any(|name| name.ends_with(function))
}

/// Records `serve` under a subscriber, and exports what was recorded.
fn exported(subscriber: impl Subscriber + Send + Sync + 'static) -> (Vec<Ids>, ProfilesData) {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.memprof");
    let seen = tracing::subscriber::with_default(subscriber, || {
        let recording = Recording::builder()
            .path(&path)
            .sample(profiler_alloc::Sample::All);
        let recording = recording.start().unwrap();
        let seen = serve();
        drop(recording);
        seen
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_memprof"));
    let output = command
        .args(["export", "--format", "otlp"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.status.success());
    (
        seen,
        ProfilesData::decode(&*output.stdout).expect("protobuf"),
    )
}

/// The last span of each stack has what it took there; the rest leads nowhere.
fn check(subscriber: impl Subscriber + Send + Sync + 'static) {
    let (seen, data) = exported(subscriber);
    let [_, _, request, of_query] = &seen[..] else {
        panic!("two requests and two queries: {seen:?}");
    };
    assert_eq!(request.0, of_query.0, "one trace");
    assert_ne!(request.1, of_query.1);
    // Two calls of `answer` in the span: each stack has its last one.
    let answers = by_span(&data, "answer");
    let expected = [
        (None, 100 + 2 * 3000 + 1),
        (Some(request.clone()), 3 * 5000 + 1),
    ];
    assert_eq!(answers, BTreeMap::from(expected));
    let queries = by_span(&data, "query");
    let expected = [(None, 3007), (Some(of_query.clone()), 5007)];
    assert_eq!(queries, BTreeMap::from(expected));
}

#[test]
fn a_sample_leads_to_its_span_whichever_layer_is_first() {
    check(ours_first(Sampler::AlwaysOn));
    check(ours_last(Sampler::AlwaysOn));
}

#[test]
fn a_span_that_is_not_exported_is_led_to_by_none() {
    let (_, data) = exported(ours_first(Sampler::AlwaysOff));
    let answers = by_span(&data, "answer");
    let all = 100 + 2 * 3000 + 3 * 5000 + 2;
    assert_eq!(answers, BTreeMap::from([(None, all)]));
    assert_eq!(data.dictionary.unwrap().link_table.len(), 1, "none");
}
