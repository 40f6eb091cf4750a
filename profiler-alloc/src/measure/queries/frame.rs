//! Which scope a query belongs to: the one of the thread, carried along by futures, handles and
//! spans.
//!
//! ```text
//! thread ──▶ frame of the call ──▶ collection ──▶ collection of the scope around it ──▶ …
//!            (site, line)          (queries)
//! ```
//! A call of a function inside a call of the same function has a frame of its own, for its line,
//! and adds to the collection of the outermost one: a recursion is one report, and costs no more
//! for being deep.

use core::cell::RefCell;
use core::fmt;
use core::future::Future;
use core::hash::{Hash, Hasher};
use core::pin::Pin;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::task::{Context, Poll};
use std::sync::Arc;
#[cfg(feature = "sqlx")]
use std::sync::{OnceLock, Weak};

use super::collection::Collection;
use super::model::{Caller, CollectOptions, OpenedAt, Origin, Place, StatementRun, hasher};
#[cfg(feature = "sqlx")]
use crate::counters::thread_counts::Lent;
use crate::counters::thread_counts::Untracked;
use crate::measure::inside::{Around, FutureInside};
use crate::measure::scope::Scope;

/// One call of a scope.
#[derive(Debug)]
pub struct Frame {
    site: OpenedAt,
    /// Tells it from others.
    id: u64,
    /// The line that runs now, 0 before the first; above it, in 16 bits, how often one function is
    /// called there, and which one of the statements on the line it is.
    now: AtomicU64,
    /// Statements begun so far.
    statements: AtomicU32,
    pub collection: Arc<Collection>,
    #[cfg(feature = "sqlx")]
    span: tracing::Span,
}

/// Makes the span of a frame, once a layer listens.
#[cfg(feature = "sqlx")]
static MAKE_SPAN: OnceLock<fn(&Weak<Frame>) -> tracing::Span> = OnceLock::new();

/// Frames have the spans that `make` makes from now on.
#[cfg(feature = "sqlx")]
pub fn make_spans_by(make: fn(&Weak<Frame>) -> tracing::Span) {
    let _ = MAKE_SPAN.set(make);
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Frame>>> = const { RefCell::new(None) };
}

/// The frame of the thread. At the very end of a thread there is none.
pub fn current() -> Option<Arc<Frame>> {
    let current = CURRENT.try_with(|current| current.try_borrow().ok()?.clone());
    current.ok().flatten()
}

/// True if the calling thread runs inside a scope.
#[inline]
pub fn is_inside() -> bool {
    let is_some = |current: &RefCell<Option<_>>| current.try_borrow().is_ok_and(|c| c.is_some());
    CURRENT.try_with(is_some).unwrap_or(false)
}

/// Sets the frame of the thread and returns the previous one.
pub fn replace(frame: Option<Arc<Frame>>) -> Option<Arc<Frame>> {
    let replace = |current: &RefCell<Option<Arc<Frame>>>| {
        let mut current = current.try_borrow_mut().ok()?;
        core::mem::replace(&mut *current, frame)
    };
    CURRENT.try_with(replace).ok().flatten()
}

/// A line, and above it what the macro says of the statement there: how often one function is
/// called, and which one of the line's it is.
pub fn now(line: u32, calls: u32) -> u64 {
    u64::from(calls) << 32 | u64::from(line)
}

/// The function of that origin goes on at what [`now`] gave. Nothing if the innermost scope is
/// another's.
#[inline]
pub fn go_to(site: &'static Origin, now: u64) {
    with_own(site, |frame| {
        frame.now.store(now, Ordering::Relaxed);
        // One thread at a time runs a frame.
        let statements = frame.statements.load(Ordering::Relaxed);
        frame
            .statements
            .store(statements.wrapping_add(1), Ordering::Relaxed);
    });
}

#[inline]
fn with_own<R>(site: &'static Origin, change: impl FnOnce(&Frame) -> R) -> Option<R> {
    let change = |current: &RefCell<Option<Arc<Frame>>>| {
        let current = current.try_borrow().ok()?;
        let frame = current.as_ref()?;
        let is_own = matches!(frame.site, OpenedAt::Attribute(own) if core::ptr::eq(own, site));
        is_own.then(|| change(frame))
    };
    CURRENT.try_with(change).ok().flatten()
}

/// What [`go_to`] would go back to.
#[inline]
pub fn now_of(site: &'static Origin) -> Option<u64> {
    with_own(site, |frame| frame.now.load(Ordering::Relaxed))
}

impl Frame {
    /// A frame inside that of the thread. The second value is false if its collection is that of an
    /// outer call.
    pub fn open(site: OpenedAt, wanted: CollectOptions) -> (Arc<Frame>, bool) {
        let around = current();
        let parent = around.as_ref().map(|frame| Arc::clone(&frame.collection));
        let outer = parent.as_ref().and_then(|parent| parent.of_site(site));
        let is_outermost = outer.is_none();
        let caller = || around.as_ref().map(|frame| frame.caller());
        let make = || Arc::new(Collection::new(site, wanted, parent.clone(), caller()));
        let collection = outer.unwrap_or_else(make);
        (Frame::new(site, 0, collection), is_outermost)
    }

    fn new(site: OpenedAt, now: u64, collection: Arc<Collection>) -> Arc<Frame> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let make = |collection| Frame {
            site,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            now: AtomicU64::new(now),
            statements: AtomicU32::new(0),
            collection,
            #[cfg(feature = "sqlx")]
            span: tracing::Span::none(),
        };
        #[cfg(feature = "sqlx")]
        let frame = Arc::new_cyclic(|frame| Frame {
            span: MAKE_SPAN
                .get()
                .map_or_else(tracing::Span::none, |make| make(frame)),
            ..make(collection)
        });
        #[cfg(not(feature = "sqlx"))]
        let frame = Arc::new(make(collection));
        frame
    }

    /// A frame for another thread or task, which stays on the line where it was handed the scope,
    /// whichever line the function itself goes on to.
    fn branch(&self) -> Arc<Frame> {
        let now = self.now.load(Ordering::Relaxed);
        Frame::new(self.site, now, Arc::clone(&self.collection))
    }

    /// The statement that runs now.
    pub fn statement(&self) -> StatementRun {
        let now = self.now.load(Ordering::Relaxed);
        StatementRun {
            frame: self.id,
            number: self.statements.load(Ordering::Relaxed),
            calls: (now >> 32) as u32 & 0xffff,
            written: (now >> 48) as u32,
        }
    }

    /// For a scope inside: the statement that opens it, and which way leads there.
    fn caller(&self) -> Caller {
        let mut way = hasher();
        let around = self.collection.caller.map(|caller| caller.way);
        (around, self.place()).hash(&mut way);
        Caller {
            way: way.finish(),
            statement: self.statement(),
        }
    }

    /// The line that runs now.
    pub fn place(&self) -> Place {
        match self.site {
            OpenedAt::Spot(spot) => Place {
                file: spot.file(),
                line: spot.line(),
                is_exact: false,
            },
            OpenedAt::Attribute(site) => {
                let line = self.now.load(Ordering::Relaxed) as u32;
                let is_exact = line != 0;
                let line = if is_exact { line } else { site.line };
                let file = site.file;
                Place {
                    file,
                    line,
                    is_exact,
                }
            }
        }
    }
}

/// Lets the thread run inside a frame, and takes it out again.
#[derive(Debug)]
pub struct FrameVisit {
    frame: Arc<Frame>,
    outer: Option<Arc<Frame>>,
}

impl FrameVisit {
    pub fn new(frame: Arc<Frame>) -> FrameVisit {
        FrameVisit { frame, outer: None }
    }

    pub fn frame(&self) -> &Arc<Frame> {
        &self.frame
    }
}

impl Scope for FrameVisit {
    fn resume(&mut self) {
        let _untracked = Untracked::begin();
        self.outer = replace(Some(Arc::clone(&self.frame)));
        #[cfg(feature = "sqlx")]
        {
            let _lent = Lent::begin();
            self.frame
                .span
                .with_subscriber(|(id, dispatch)| dispatch.enter(id));
        }
    }

    fn pause(&mut self) {
        let _untracked = Untracked::begin();
        #[cfg(feature = "sqlx")]
        {
            let _lent = Lent::begin();
            self.frame
                .span
                .with_subscriber(|(id, dispatch)| dispatch.exit(id));
        }
        replace(self.outer.take());
    }
}

/// The scope of a thread, to be carried to another thread or task, which does not inherit it.
///
/// ```
/// use profiler_alloc::queries::{Handle, QueryEvent, record};
///
/// profiler_alloc::query_profiler("import", || {
///     let handle = Handle::current();
///     std::thread::scope(|scope| {
///         scope.spawn(|| handle.run(|| record(QueryEvent::new("my database", "SELECT 1"))));
///     });
/// });
/// ```
///
/// A query that begins after the scope has made its report belongs to no scope.
#[derive(Clone, Default)]
pub struct Handle(Option<Arc<Frame>>);

/// The last one frees the scope, which is memprof's own.
impl Drop for Handle {
    fn drop(&mut self) {
        let _untracked = Untracked::begin();
        self.0 = None;
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.0.as_ref().map(|frame| frame.place());
        f.debug_tuple("Handle").field(&place).finish()
    }
}

impl Handle {
    /// The scope of the calling thread, or none. Queries that run through the handle are attributed
    /// to the line that runs now.
    pub fn current() -> Handle {
        let _untracked = Untracked::begin();
        Handle(current().map(|frame| frame.branch()))
    }

    /// Runs `work` inside the scope.
    pub fn run<R>(&self, work: impl FnOnce() -> R) -> R {
        let visit = self.0.clone().map(FrameVisit::new);
        let _running = crate::measure::scope::Entered::new(visit);
        work()
    }

    /// A future that is polled inside the scope, and dropped there:
    /// `tokio::spawn(Handle::current().carry(work()))`.
    pub fn carry<F: Future>(&self, future: F) -> Carried<F> {
        let visit = self.0.clone().map(FrameVisit::new);
        Carried {
            inside: FutureInside::new(Carrying(visit), future),
        }
    }
}

pin_project_lite::pin_project! {
    /// The future that [`Handle::carry`] returns.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Carried<F> {
        #[pin]
        inside: FutureInside<Carrying, F>,
    }
}

impl<F: Future> Future for Carried<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.project().inside.poll(context)
    }
}

/// The scope that a future runs inside of, if it is handed one.
#[derive(Debug)]
struct Carrying(Option<FrameVisit>);

/// As that of a [`Handle`].
impl Drop for Carrying {
    fn drop(&mut self) {
        let _untracked = Untracked::begin();
        self.0 = None;
    }
}

impl Scope for Carrying {
    fn resume(&mut self) {
        self.0.resume();
    }

    fn pause(&mut self) {
        self.0.pause();
    }
}

impl Around for Carrying {}
