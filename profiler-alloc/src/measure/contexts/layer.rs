//! Contexts by the spans of `tracing`: whatever a program's spans say already, it says here too.

use core::cell::RefCell;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use tracing::field::{Field, Visit as Fields};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Metadata, Subscriber, dispatcher};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{self, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::context::Context;
use crate::contexts::span_ids::{self, SpanIds};
use crate::counters::thread_counts::Untracked;
use crate::session::context_counts::{self, ContextEntry};
use crate::session::span_layer;

/// A layer for `tracing` that makes a context of every span that has one of its fields: the field's
/// name is the key.
///
/// ```
/// use profiler_alloc::ContextLayer;
/// use tracing_subscriber::prelude::*;
///
/// let layer = ContextLayer::new().field("http.route").field("tenant");
/// let _running = tracing_subscriber::registry().with(layer).set_default();
/// let span = tracing::info_span!("request", http.route = "/orders/{id}", tenant = "acme");
/// let _entered = span.enter();
/// // What is allocated here belongs to both.
/// assert_ne!(profiler_alloc::Context::current(), profiler_alloc::Context::NONE);
/// ```
/// Spans inside, on whichever thread, have the contexts of the spans around them. A field may be
/// given later, by [`Span::record`](tracing::Span::record). What a span is entered for may be no
/// more than the end of a cancelled future; so an entry is a span that was entered and has closed,
/// and what was allocated in all of its visits is the entry's.
///
/// Nothing carries a span into `tokio::spawn`, `spawn_blocking`, rayon or a thread but
/// [`Instrument`](tracing::Instrument), or [`Context::carry`].
///
/// A filter in front of all layers, such as `LevelFilter::INFO` in the registry, hides the spans
/// that it turns off from this layer too: put it on the other layer alone (`with_filter`).
#[derive(Clone, Default)]
#[must_use = "a layer does nothing until it is part of a subscriber"]
pub struct ContextLayer {
    fields: Vec<&'static str>,
    takes_names: bool,
    ids: Option<Arc<AskIds>>,
}

type AskIds = dyn Fn(&Id, &Dispatch) -> Option<([u8; 16], [u8; 8])> + Send + Sync;

impl fmt::Debug for ContextLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextLayer")
            .field("fields", &self.fields)
            .field("takes_names", &self.takes_names)
            .field("has_span_ids", &self.ids.is_some())
            .finish()
    }
}

impl ContextLayer {
    /// For spans without any field yet: add [`field`](Self::field)s, or [`names`](Self::names).
    pub fn new() -> ContextLayer {
        ContextLayer::default()
    }

    /// Spans that have this field are a context: its name is the key, what it holds the value.
    pub fn field(mut self, name: &'static str) -> ContextLayer {
        self.fields.push(name);
        self
    }

    /// Every span is a context of the key `span`, by its name.
    pub fn names(mut self) -> ContextLayer {
        self.takes_names = true;
        self
    }

    /// Notes of each stack in which trace and span it took blocks last, for OTLP. `ids` gives them,
    /// as OpenTelemetry numbers them: it is asked once a span, when that is entered first, and may
    /// say `None` of what is not exported. This crate knows no version of OpenTelemetry's crates,
    /// and the order of the layers does not matter:
    ///
    /// ```text
    /// use tracing_opentelemetry::get_otel_context;
    ///
    /// ContextLayer::new().field("http.route").span_ids(|id, dispatch| {
    ///     let context = get_otel_context(id, dispatch)?;
    ///     let span = context.span().span_context().clone();
    ///     span.is_sampled().then(|| (span.trace_id().to_bytes(), span.span_id().to_bytes()))
    /// })
    /// ```
    pub fn span_ids<F>(mut self, ids: F) -> ContextLayer
    where
        F: Fn(&Id, &Dispatch) -> Option<([u8; 16], [u8; 8])> + Send + Sync + 'static,
    {
        self.ids = Some(Arc::new(ids));
        self
    }

    /// The layer, which looks at spans alone. Otherwise `tracing` makes events for it that no other
    /// layer wants.
    pub fn spans_only<S>(self) -> impl Layer<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        self.with_filter(filter_fn(|metadata: &Metadata<'_>| metadata.is_span()))
    }

    /// The ids of a span, which are asked for once.
    fn ids<S>(&self, id: &Id, context: &layer::Context<'_, S>) -> SpanIds
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Some((ask, span)) = self.ids.as_ref().zip(context.span(id)) else {
            return SpanIds::NONE;
        };
        if let Some(ids) = span.extensions().get::<SpanIds>() {
            return *ids;
        }
        // What this makes is the program's: the span would have made it a moment later.
        let given = dispatcher::get_default(|dispatch| ask(id, dispatch));
        let ids = given.map_or(SpanIds::NONE, |(trace, span)| SpanIds::of(trace, span));
        let Some(_untracked) = Untracked::begin() else {
            return ids;
        };
        span.extensions_mut().replace(ids);
        ids
    }

    /// The contexts that a span's own fields name.
    fn read(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut Reader<'_>)) -> Context {
        let mut reader = Reader {
            fields: &self.fields,
            found: Context::NONE,
        };
        if self.takes_names {
            reader.found = Context::new("span", metadata.name());
        }
        record(&mut reader);
        reader.found
    }
}

/// What is known of a span.
struct Spanned {
    /// By its own fields.
    own: Context,
    /// With those of the spans around it.
    all: Context,
    /// Bytes allocated in it so far.
    allocated: AtomicU64,
    /// It was entered at least once.
    was_entered: bool,
}

thread_local! {
    /// Spans that the thread has entered and not left.
    static ENTERED: RefCell<Vec<EnteredSpan>> = const { RefCell::new(Vec::new()) };
}

/// A span that a thread is in.
struct EnteredSpan {
    id: Id,
    /// What is in force for it.
    entry: ContextEntry,
    ids: SpanIds,
}

/// The thread is in the innermost span that has ids. One that has none, as it is not exported, is a
/// part of the span around it.
fn set_ids(entered: &[EnteredSpan]) {
    let ids = entered.iter().rev().map(|span| span.ids);
    let innermost = ids.into_iter().find(|&ids| ids != SpanIds::NONE);
    span_ids::set(innermost.unwrap_or(SpanIds::NONE));
}

impl<S> Layer<S> for ContextLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_layer(&mut self, _: &mut S) {
        span_layer::is_there();
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: layer::Context<'_, S>) {
        let Some(_untracked) = Untracked::begin() else {
            return;
        };
        span_layer::saw_span();
        let own = self.read(attributes.metadata(), |reader| attributes.record(reader));
        let Some(span) = context.span(id) else {
            return;
        };
        let around = span.parent().map_or(Context::NONE, |parent| {
            let extensions = parent.extensions();
            (extensions.get::<Spanned>()).map_or(Context::NONE, |spanned| spanned.all)
        });
        let all = around.with(own);
        if all != Context::NONE {
            span_layer::saw_context();
            span.extensions_mut().insert(Spanned {
                own,
                all,
                allocated: AtomicU64::new(0),
                was_entered: false,
            });
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: layer::Context<'_, S>) {
        let Some(_untracked) = Untracked::begin() else {
            return;
        };
        let Some(span) = context.span(id) else {
            return;
        };
        let found = self.read(span.metadata(), |reader| values.record(reader));
        if found == Context::NONE {
            return;
        }
        span_layer::saw_context();
        let mut extensions = span.extensions_mut();
        let all = match extensions.get_mut::<Spanned>() {
            Some(spanned) => {
                spanned.own = spanned.own.with(found);
                spanned.all = spanned.all.with(found);
                spanned.all
            }
            None => {
                extensions.insert(Spanned {
                    own: found,
                    all: found,
                    allocated: AtomicU64::new(0),
                    was_entered: false,
                });
                found
            }
        };
        // The span that says so now is mostly the one that the thread is in.
        let is_in = with_entered(|entered| entered.iter().any(|span| span.id == *id));
        if is_in == Some(true)
            && let Some(spanned) = extensions.get_mut::<Spanned>()
        {
            spanned.was_entered = true;
            with_entered(|entered| {
                for span in entered.iter_mut().filter(|span| span.id == *id) {
                    let entry = ContextEntry::enter(all.0);
                    let before = core::mem::replace(&mut span.entry, entry);
                    let allocated = before.leave();
                    spanned.allocated.fetch_add(allocated, Ordering::Relaxed);
                }
            });
        }
    }

    fn on_enter(&self, id: &Id, context: layer::Context<'_, S>) {
        let ids = self.ids(id, &context);
        let Some(_untracked) = Untracked::begin() else {
            return;
        };
        let Some(span) = context.span(id) else {
            return;
        };
        let mut extensions = span.extensions_mut();
        let set = extensions.get_mut::<Spanned>().map_or(0, |spanned| {
            spanned.was_entered = true;
            spanned.all.0
        });
        drop(extensions);
        with_entered(|entered| {
            entered.push(EnteredSpan {
                id: id.clone(),
                entry: ContextEntry::enter(set),
                ids,
            });
            if self.ids.is_some() {
                set_ids(entered);
            }
        });
    }

    fn on_exit(&self, id: &Id, context: layer::Context<'_, S>) {
        let Some(_untracked) = Untracked::begin() else {
            return;
        };
        let left = with_entered(|entered| {
            let at = entered.iter().rposition(|span| span.id == *id)?;
            let left = entered.remove(at).entry;
            if self.ids.is_some() {
                set_ids(entered);
            }
            Some(left)
        });
        let Some(left) = left.flatten() else {
            return;
        };
        let allocated = left.leave();
        if let Some(span) = context.span(id)
            && let Some(spanned) = span.extensions().get::<Spanned>()
        {
            spanned.allocated.fetch_add(allocated, Ordering::Relaxed);
        }
    }

    fn on_close(&self, id: Id, context: layer::Context<'_, S>) {
        let Some(_untracked) = Untracked::begin() else {
            return;
        };
        let Some(span) = context.span(&id) else {
            return;
        };
        // Taken out here: what was put in as memprof's own is not to be freed as the program's.
        let mut extensions = span.extensions_mut();
        extensions.remove::<SpanIds>();
        let spanned = extensions.remove::<Spanned>();
        drop(extensions);
        if let Some(spanned) = spanned
            && spanned.was_entered
            && spanned.own != Context::NONE
        {
            let allocated = spanned.allocated.load(Ordering::Relaxed);
            context_counts::count_entry(spanned.own.0, allocated);
        }
    }
}

/// `None` at the very end of a thread.
fn with_entered<R>(change: impl FnOnce(&mut Vec<EnteredSpan>) -> R) -> Option<R> {
    let change = |entered: &RefCell<Vec<_>>| Some(change(&mut *entered.try_borrow_mut().ok()?));
    ENTERED.try_with(change).ok().flatten()
}

/// Reads the fields of one span.
struct Reader<'a> {
    fields: &'a [&'static str],
    found: Context,
}

impl Reader<'_> {
    fn take(&mut self, field: &Field, value: &str) {
        self.found = self.found.and(field.name(), value);
    }

    fn wants(&self, field: &Field) -> bool {
        self.fields.contains(&field.name())
    }
}

impl Fields for Reader<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if self.wants(field) {
            self.take(field, value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.wants(field) {
            self.take(field, &format!("{value:?}"));
        }
    }
}
