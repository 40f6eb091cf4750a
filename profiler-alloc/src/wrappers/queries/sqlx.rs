//! Queries of sqlx, by the events that it gives to `tracing`.
//!
//! sqlx runs SQLite's statements on a thread of their own, inside the span of the task that asked. So every scope has a
//! span, and the layer lets a thread that enters it, or one inside it, run in the scope.

use core::cell::RefCell;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::subscriber::{Interest, set_global_default};
use tracing::{Event, Metadata, Span, Subscriber};
use tracing_subscriber::layer::{Context, Filter, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::dialect::Dialect;
use super::event::{QueryEvent, Source};
use super::frame::{self, Frame};
use super::normal::normalise;
use super::{InstallError, set_up};
use crate::own_counts::Excused;

/// The target of sqlx's events.
const QUERIES: &str = "sqlx::query";
/// The target of the spans of scopes.
const SCOPES: &str = "profiler_alloc::queries";

/// Without a layer, scopes need no spans.
static IS_LISTENING: AtomicBool = AtomicBool::new(false);

/// Has sqlx tell `#[query_profiler]` of its queries, in a program that sets no `tracing` subscriber of its own.
///
/// # Errors
/// If the program has one already: then add [`sqlx_layer`] to it.
pub fn install_sqlx() -> Result<(), InstallError> {
    set_global_default(Registry::default().with(sqlx_layer())).map_err(|_| InstallError {
        message: "the program has a tracing subscriber already: add profiler_alloc::queries::sqlx_layer() to it"
            .to_owned(),
    })
}

/// The layer that [`install_sqlx`] installs, for a subscriber of your own. It looks at sqlx's events and, inside scopes, at
/// spans, and at nothing else. sqlx gives its events on the level DEBUG: a filter of another layer does no harm, but one in
/// front of all layers, such as `LevelFilter::INFO`, keeps them from this one too.
pub fn sqlx_layer<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    IS_LISTENING.store(true, Ordering::Relaxed);
    Listener.with_filter(OwnFilter)
}

/// A scope's span; none if nobody listens. It knows its frame, as long as there is one.
pub fn span_of(frame: &Weak<Frame>) -> Span {
    if !IS_LISTENING.load(Ordering::Relaxed) {
        return Span::none();
    }
    OPENING.with(|opening| *opening.borrow_mut() = Some(Weak::clone(frame)));
    let span = tracing::info_span!(target: "profiler_alloc::queries", "query_profiler");
    OPENING.with(|opening| *opening.borrow_mut() = None);
    span
}

thread_local! {
    /// The frame whose span is being made.
    static OPENING: RefCell<Option<Weak<Frame>>> = const { RefCell::new(None) };
    /// The span that has let the thread into a scope.
    static ENTERED: RefCell<Option<Id>> = const { RefCell::new(None) };
}

struct OwnFilter;

impl<S> Filter<S> for OwnFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        match metadata.is_span() {
            true => metadata.target() == SCOPES || frame::is_inside(),
            false => metadata.target() == QUERIES,
        }
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match metadata.target() {
            SCOPES | QUERIES => Interest::always(),
            _ if metadata.is_span() => Interest::sometimes(),
            _ => Interest::never(),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
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
        let _excused = Excused::begin();
        if let Some(frame) = frame_of(id, &context) {
            frame::replace(Some(frame));
            ENTERED.with(|entered| *entered.borrow_mut() = Some(id.clone()));
        }
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        let is_same = ENTERED.with(|entered| {
            let is_same = entered.borrow().as_ref() == Some(id);
            if is_same {
                *entered.borrow_mut() = None;
            }
            is_same
        });
        if is_same {
            let _excused = Excused::begin();
            frame::replace(None);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(_excused) = Excused::begin() else {
            return;
        };
        let is_first = set_up::is_first_of_sqlx();
        let in_span = || {
            let span = context.event_span(event)?;
            frame_of(&span.id(), &context)
        };
        let Some(frame) = frame::current().or_else(in_span) else {
            return;
        };
        let mut fields = Fields::default();
        event.record(&mut fields);
        fields.event(is_first).record_in(&frame);
    }
}

/// sqlx runs SQLite on threads of its own, which are in a scope by its span; the others in the task's own.
fn dialect() -> Dialect {
    match ENTERED.with(|entered| entered.borrow().is_some()) {
        _ if set_up::is_sqlx_thread() => Dialect::Sqlite,
        true => Dialect::Unknown,
        false => Dialect::PostgreSqlOrMySql,
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

/// What an event of sqlx says.
#[derive(Default)]
struct Fields {
    /// The first words; all of them, if there are four or fewer.
    summary: String,
    /// The whole statement, if it has more.
    statement: String,
    returned: u64,
    affected: u64,
    seconds: f64,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => self.summary = value.to_owned(),
            "db.statement" => self.statement = value.to_owned(),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "rows_returned" => self.returned = value,
            "rows_affected" => self.affected = value,
            _ => {}
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.seconds = value;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn core::fmt::Debug) {}
}

impl Fields {
    fn event(&self, is_first: bool) -> QueryEvent<'_> {
        let sql = match self.statement.trim() {
            "" => &self.summary,
            statement => statement,
        };
        let dialect = dialect();
        let facts = normalise(sql, dialect).facts;
        // SQLite tells sqlx of the rows that the last statement changed, whichever that was.
        let rows = match facts.changes {
            true if self.returned == 0 => self.affected,
            _ => self.returned,
        };
        QueryEvent {
            dialect,
            is_of_library: (is_first && facts.is_pragma) || set_up::is_lookup_of_sqlx(sql),
            ..QueryEvent::new(Source::Sqlx, sql)
        }
        .elapsed(Duration::try_from_secs_f64(self.seconds).unwrap_or_default())
        .rows(rows)
    }
}
