//! Contexts by the spans of `tracing`: whatever a program's spans say already, it says here too.

use core::cell::RefCell;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit as Fields};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{self, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::context::Context;
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
#[derive(Clone, Debug, Default)]
#[must_use = "a layer does nothing until it is part of a subscriber"]
pub struct ContextLayer {
    fields: Vec<&'static str>,
    takes_names: bool,
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

    /// The layer, which looks at spans alone. Otherwise `tracing` makes events for it that no other
    /// layer wants.
    pub fn spans_only<S>(self) -> impl Layer<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        self.with_filter(filter_fn(|metadata: &Metadata<'_>| metadata.is_span()))
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
    /// Spans that the thread has entered and not left, with what was in force for each.
    static ENTERED: RefCell<Vec<(Id, ContextEntry)>> = const { RefCell::new(Vec::new()) };
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
        let is_in = with_entered(|entered| entered.iter().any(|(entered, _)| entered == id));
        if is_in == Some(true)
            && let Some(spanned) = extensions.get_mut::<Spanned>()
        {
            spanned.was_entered = true;
            with_entered(|entered| {
                for (_, entry) in entered.iter_mut().filter(|(entered, _)| entered == id) {
                    let before = core::mem::replace(entry, ContextEntry::enter(all.0));
                    let allocated = before.leave();
                    spanned.allocated.fetch_add(allocated, Ordering::Relaxed);
                }
            });
        }
    }

    fn on_enter(&self, id: &Id, context: layer::Context<'_, S>) {
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
        with_entered(|entered| entered.push((id.clone(), ContextEntry::enter(set))));
    }

    fn on_exit(&self, id: &Id, context: layer::Context<'_, S>) {
        let Some(_untracked) = Untracked::begin() else {
            return;
        };
        let left = with_entered(|entered| {
            let at = entered.iter().rposition(|(entered, _)| entered == id)?;
            Some(entered.remove(at).1)
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
        let spanned = span.extensions_mut().remove::<Spanned>();
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
fn with_entered<R>(change: impl FnOnce(&mut Vec<(Id, ContextEntry)>) -> R) -> Option<R> {
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
