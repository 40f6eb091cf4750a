//! Queries of libraries that tell `tracing` of them: sqlx, toasty, libsql, turso, mysql_async.
//!
//! sqlx runs SQLite's statements on a thread of their own, inside the span of the task that asked.
//! So every scope has a span, and the layer lets a thread that enters it, or one inside it, run in
//! the scope.

mod entered;
mod fields;
mod prepared;
mod running;
mod sources;

use core::cell::RefCell;
use std::sync::{Arc, Weak};

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, set_global_default};
use tracing::{Event, Metadata, Span, Subscriber};
use tracing_subscriber::layer::{Context, Filter, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

use self::fields::QueryFields;
use self::running::SpanQuery;
use self::sources::{QuerySource, ToldBy};
use super::InstallError;
use super::event::QueryEvent;
use super::frame::{self, Frame};
use super::started::Reading;
use crate::counters::thread_counts::Untracked;

/// The target of the spans of scopes.
const SCOPES: &str = "profiler_alloc::queries";

/// Reports the queries of sqlx, toasty, libsql, turso and mysql_async to `#[query_profiler]`, in a
/// program that sets no `tracing` subscriber of its own.
///
/// # Errors
/// If the program has one already: then add [`sqlx_layer`] to it.
pub fn install_sqlx() -> Result<(), InstallError> {
    set_global_default(Registry::default().with(sqlx_layer())).map_err(|_| InstallError {
        message: "the program has a tracing subscriber already: add profiler_alloc::queries::sqlx_layer() to it"
            .to_owned(),
    })
}

/// The layer that [`install_sqlx`] installs, for a subscriber of your own. It looks at events and
/// spans of queries and, inside scopes, at other spans, and at nothing else. sqlx, toasty and turso
/// give their events on the level DEBUG, libsql on TRACE: a filter of another layer does no harm,
/// but one in front of all layers, such as `LevelFilter::INFO`, keeps them from this one too.
pub fn sqlx_layer<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    // Without a layer, scopes need no spans.
    frame::make_spans_by(span_of);
    Listener.with_filter(OwnFilter)
}

/// A scope's span. It knows its frame, as long as there is one.
fn span_of(frame: &Weak<Frame>) -> Span {
    OPENING.with(|opening| *opening.borrow_mut() = Some(Weak::clone(frame)));
    let span = tracing::info_span!(target: "profiler_alloc::queries", "query_profiler");
    OPENING.with(|opening| *opening.borrow_mut() = None);
    span
}

thread_local! {
    /// The frame whose span is being made.
    static OPENING: RefCell<Option<Weak<Frame>>> = const { RefCell::new(None) };
}

struct OwnFilter;

/// Whether a span is of use outside of scopes too: those of scopes, and those that prepare what a
/// scope may run later.
fn is_always_of_use(span: &Metadata<'_>) -> bool {
    let prepares = |source: &QuerySource| source.told_by == ToldBy::Preparation;
    span.target() == SCOPES || sources::of(span).is_some_and(prepares)
}

impl<S> Filter<S> for OwnFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        match metadata.is_span() {
            true => is_always_of_use(metadata) || frame::is_inside(),
            false => sources::of(metadata).is_some(),
        }
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match metadata.is_span() {
            true if is_always_of_use(metadata) => Interest::always(),
            true => Interest::sometimes(),
            false if sources::of(metadata).is_some() => Interest::always(),
            false => Interest::never(),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // What libsql tells is that low.
        Some(LevelFilter::TRACE)
    }
}

struct Listener;

impl<S> Layer<S> for Listener
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        let Some(span) = context.span(id) else {
            return;
        };
        if metadata.target() == SCOPES {
            if let Some(frame) = OPENING.with(|opening| opening.borrow_mut().take()) {
                span.extensions_mut().insert(frame);
            }
        } else if let Some((source, start)) = sources::of(metadata).zip(Reading::now()) {
            let _untracked = Untracked::begin();
            let frame = frame::current().or_else(|| frame_of(id, &context));
            let running = SpanQuery::new(source, attributes, frame, start);
            span.extensions_mut().insert(running);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let _untracked = Untracked::begin();
        if let Some(span) = context.span(id)
            && let Some(running) = span.extensions_mut().get_mut::<SpanQuery>()
        {
            running.record(values);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if frame::is_inside() {
            return;
        }
        let _untracked = Untracked::begin();
        if let Some(frame) = frame_of(id, &context) {
            frame::replace(Some(frame));
            entered::by(id);
        }
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        if entered::leaves(id) {
            let _untracked = Untracked::begin();
            frame::replace(None);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(_untracked) = Untracked::begin() else {
            return;
        };
        let metadata = event.metadata();
        let Some(source) = sources::of(metadata) else {
            return;
        };
        if source.told_by == ToldBy::Event {
            let in_span = || frame_of(&context.event_span(event)?.id(), &context);
            let frame = frame::current().or_else(in_span);
            tell(source, event, frame.as_deref());
        } else if let Some(span) = context.event_span(event)
            && let Some(running) = span.extensions_mut().get_mut::<SpanQuery>()
        {
            running.hear(event);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let end = Reading::now();
        let _untracked = Untracked::begin();
        let Some(span) = context.span(&id) else {
            return;
        };
        let running = span.extensions_mut().remove::<SpanQuery>();
        if let Some((running, end)) = running.zip(end) {
            running.end(span.metadata(), end);
        }
    }
}

/// Puts the query of an event into the scope of the frame.
fn tell(source: &'static QuerySource, event: &Event<'_>, frame: Option<&Frame>) {
    // Outside of scopes too, so that a scope knows which of its queries are not.
    let is_first = (source.is_first)();
    let Some(frame) = frame else {
        return;
    };
    let mut fields = QueryFields::default();
    event.record(&mut fields.reader(source));
    if !fields.sql().is_empty() {
        let query = QueryEvent {
            is_first,
            ..QueryEvent::new(source.source, fields.sql())
        };
        let query = fields.complete(query, source, event.metadata());
        query.record_in(frame);
    }
}

/// The frame of the innermost scope that a span is in.
fn frame_of<S>(id: &Id, context: &Context<'_, S>) -> Option<Arc<Frame>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let mut spans = context.span_scope(id)?;
    spans.find_map(|span| span.extensions().get::<Weak<Frame>>()?.upgrade())
}
