//! Which scope a query belongs to: the one of the thread, carried along by futures, handles and spans.
//!
//! ```text
//! thread ──▶ frame of the call ──▶ collection ──▶ collection of the scope around it ──▶ …
//!            (site, line)          (queries)
//! ```
//! A call of a function inside a call of the same function has a frame of its own, for its line, and adds to the collection
//! of the outermost one: a recursion is one report, and costs no more for being deep.

use core::cell::RefCell;
use core::fmt;
use core::future::Future;
use core::panic::Location;
use core::pin::Pin;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::{Context, Poll};
use std::sync::Arc;

use super::collection::{Collection, Wanted};
use super::report::Place;
use super::site::QuerySite;
use crate::own_counts::Excused;
#[cfg(feature = "sqlx")]
use crate::own_counts::Lent;
use crate::wrappers::scope::Scope;

/// Where a scope is opened.
#[derive(Clone, Copy, Debug)]
pub enum Site {
    /// A function with an attribute.
    Attribute(&'static QuerySite),
    /// A call of the closure form, or the start of a guard.
    Spot(&'static Location<'static>),
}

impl PartialEq for Site {
    fn eq(&self, other: &Site) -> bool {
        match (self, other) {
            (Site::Attribute(one), Site::Attribute(other)) => core::ptr::eq(*one, *other),
            (Site::Spot(one), Site::Spot(other)) => one == other,
            _ => false,
        }
    }
}

/// One call of a scope.
#[derive(Debug)]
pub struct Frame {
    site: Site,
    /// The line that runs now; 0 before the first.
    line: AtomicU32,
    pub collection: Arc<Collection>,
    #[cfg(feature = "sqlx")]
    span: tracing::Span,
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

/// Sets the frame of the thread, and gives the one that was.
pub fn replace(frame: Option<Arc<Frame>>) -> Option<Arc<Frame>> {
    let replace = |current: &RefCell<Option<Arc<Frame>>>| {
        let mut current = current.try_borrow_mut().ok()?;
        core::mem::replace(&mut *current, frame)
    };
    CURRENT.try_with(replace).ok().flatten()
}

/// The function with that site goes on at `line`. Nothing if the innermost scope is another's.
#[inline]
pub fn at(site: &'static QuerySite, line: u32) {
    with_line(site, |now| now.store(line, Ordering::Relaxed));
}

#[inline]
fn with_line<R>(site: &'static QuerySite, change: impl FnOnce(&AtomicU32) -> R) -> Option<R> {
    let change = |current: &RefCell<Option<Arc<Frame>>>| {
        let current = current.try_borrow().ok()?;
        let frame = current.as_ref()?;
        let is_own = matches!(frame.site, Site::Attribute(own) if core::ptr::eq(own, site));
        is_own.then(|| change(&frame.line))
    };
    CURRENT.try_with(change).ok().flatten()
}

/// Goes on at a line when it is dropped.
#[doc(hidden)]
#[derive(Debug)]
pub struct QueryLine {
    site: &'static QuerySite,
    line: Option<u32>,
}

impl QueryLine {
    /// At the line of the statement that goes on then.
    #[inline]
    pub fn new(site: &'static QuerySite, line: u32) -> QueryLine {
        let line = Some(line);
        QueryLine { site, line }
    }

    /// At the line that runs now: the one that calls a closure, whose body begins.
    #[inline]
    pub fn now(site: &'static QuerySite) -> QueryLine {
        let line = with_line(site, |line| line.load(Ordering::Relaxed));
        QueryLine { site, line }
    }
}

impl Drop for QueryLine {
    #[inline]
    fn drop(&mut self) {
        if let Some(line) = self.line {
            at(self.site, line);
        }
    }
}

impl Frame {
    /// A frame inside that of the thread. The second value is false if its collection is that of an outer call.
    pub fn open(site: Site, wanted: Wanted) -> (Arc<Frame>, bool) {
        let parent = current().map(|frame| Arc::clone(&frame.collection));
        let outer = parent.as_ref().and_then(|parent| parent.of_site(site));
        let is_outermost = outer.is_none();
        let collection =
            outer.unwrap_or_else(|| Arc::new(Collection::new(site, wanted, parent.clone())));
        let make = |collection| Frame {
            site,
            line: AtomicU32::new(0),
            collection,
            #[cfg(feature = "sqlx")]
            span: tracing::Span::none(),
        };
        #[cfg(feature = "sqlx")]
        let frame = Arc::new_cyclic(|frame| Frame {
            span: super::sqlx::span_of(frame),
            ..make(collection)
        });
        #[cfg(not(feature = "sqlx"))]
        let frame = Arc::new(make(collection));
        (frame, is_outermost)
    }

    /// The line that runs now.
    pub fn place(&self) -> Place {
        match self.site {
            Site::Spot(spot) => Place {
                file: spot.file(),
                line: spot.line(),
                is_exact: false,
            },
            Site::Attribute(site) => {
                let line = self.line.load(Ordering::Relaxed);
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
pub struct Visit {
    frame: Arc<Frame>,
    outer: Option<Arc<Frame>>,
}

impl Visit {
    pub fn new(frame: Arc<Frame>) -> Visit {
        Visit { frame, outer: None }
    }

    pub fn frame(&self) -> &Arc<Frame> {
        &self.frame
    }
}

impl Scope for Visit {
    fn resume(&mut self) {
        let _excused = Excused::begin();
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
        let _excused = Excused::begin();
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

/// The scope that a thread runs inside, to be handed to another thread or task, which is not part of it by itself.
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
/// A query that begins when the scope has made its report belongs to no scope.
#[derive(Clone, Default)]
pub struct Handle(Option<Arc<Frame>>);

/// The last one frees the scope, which is memprof's own.
impl Drop for Handle {
    fn drop(&mut self) {
        let _excused = Excused::begin();
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
    /// Of the calling thread; of no scope, if it is in none.
    pub fn current() -> Handle {
        Handle(current())
    }

    /// Runs `work` inside the scope.
    pub fn run<R>(&self, work: impl FnOnce() -> R) -> R {
        let visit = self.0.clone().map(Visit::new);
        let _running = crate::wrappers::scope::Entered::new(visit);
        work()
    }

    /// A future that is polled inside the scope: `tokio::spawn(Handle::current().carry(work()))`.
    pub fn carry<F: Future>(&self, future: F) -> Carried<F> {
        Carried {
            handle: self.clone(),
            future: Box::pin(future),
        }
    }
}

/// What [`Handle::carry`] gives.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Carried<F> {
    handle: Handle,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Carried<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Carried { handle, future } = self.get_mut();
        handle.run(|| future.as_mut().poll(context))
    }
}
