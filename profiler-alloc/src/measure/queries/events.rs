//! Queries of libraries that give events of them to `tracing`: sqlx, toasty, libsql, turso.
//!
//! sqlx runs SQLite's statements on a thread of their own, inside the span of the task that asked.
//! So every scope has a span, and the layer lets a thread that enters it, or one inside it, run in
//! the scope.

mod entered;
mod prepared;
mod sqlx;
mod toasty;

use core::cell::RefCell;
use std::sync::{Arc, Weak};

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::subscriber::{Interest, set_global_default};
use tracing::{Event, Metadata, Span, Subscriber};
use tracing_subscriber::layer::{Context, Filter, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::InstallError;
use super::frame::{self, Frame};
use crate::counters::thread_counts::Untracked;

/// Reads an event of one library, and puts the query into the scope of the frame, if there is one.
type Reader = fn(&Event<'_>, Option<&Frame>);

/// The targets of events of queries, and who reads them.
const QUERIES: [(&str, Reader); 4] = [
    (sqlx::TARGET, sqlx::read),
    (toasty::TARGET, toasty::read),
    (prepared::LIBSQL, prepared::read),
    (prepared::TURSO, prepared::read),
];

fn reader(metadata: &Metadata<'_>) -> Option<Reader> {
    let found = QUERIES
        .iter()
        .find(|(target, _)| *target == metadata.target());
    found.map(|(_, read)| *read)
}

/// The target of the spans of scopes.
const SCOPES: &str = "profiler_alloc::queries";

/// Has sqlx, toasty, libsql and turso tell `#[query_profiler]` of their queries, in a program that
/// sets no `tracing` subscriber of its own.
///
/// # Errors
/// If the program has one already: then add [`sqlx_layer`] to it.
pub fn install_sqlx() -> Result<(), InstallError> {
    set_global_default(Registry::default().with(sqlx_layer())).map_err(|_| InstallError {
        message: "the program has a tracing subscriber already: add profiler_alloc::queries::sqlx_layer() to it"
            .to_owned(),
    })
}

/// The layer that [`install_sqlx`] installs, for a subscriber of your own. It looks at events of
/// queries and, inside scopes, at spans, and at nothing else. sqlx, toasty and turso give their
/// events on the level DEBUG, libsql on TRACE: a filter of another layer does no harm, but one in
/// front of all layers, such as `LevelFilter::INFO`, keeps them from this one too.
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

impl<S> Filter<S> for OwnFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        match metadata.is_span() {
            true => metadata.target() == SCOPES || frame::is_inside(),
            false => reader(metadata).is_some(),
        }
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match metadata.is_span() {
            true if metadata.target() == SCOPES => Interest::always(),
            true => Interest::sometimes(),
            false if reader(metadata).is_some() => Interest::always(),
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
        let frame = match attributes.metadata().target() {
            SCOPES => OPENING.with(|opening| opening.borrow_mut().take()),
            _ => None,
        };
        if let (Some(frame), Some(span)) = (frame, context.span(id)) {
            span.extensions_mut().insert(frame);
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
        let in_span = || {
            let span = context.event_span(event)?;
            frame_of(&span.id(), &context)
        };
        if let Some(read) = reader(event.metadata()) {
            let frame = frame::current().or_else(in_span);
            read(event, frame.as_deref());
        }
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
