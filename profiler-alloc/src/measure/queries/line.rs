//! The probes that `#[query_profiler]` puts before statements: which line runs now.

use super::frame;
use super::model::Origin;
use super::site::QuerySite;

/// The function with that site goes on at `line`, with a statement that calls one function `calls`
/// times at most. Nothing if the innermost scope is another's.
#[inline]
pub fn at(site: &'static QuerySite, line: u32, calls: u32) {
    frame::go_to(site.origin(), frame::now(line, calls));
}

/// Goes on at a line when it is dropped.
#[doc(hidden)]
#[derive(Debug)]
pub struct QueryLine {
    site: &'static Origin,
    now: Option<u64>,
}

impl QueryLine {
    /// At the line of the statement that goes on then.
    #[inline]
    pub fn new(site: &'static QuerySite, line: u32, calls: u32) -> QueryLine {
        let now = Some(frame::now(line, calls));
        let site = site.origin();
        QueryLine { site, now }
    }

    /// At the line that runs now: the one that calls a closure, whose body begins.
    #[inline]
    pub fn now(site: &'static QuerySite) -> QueryLine {
        let site = site.origin();
        let now = frame::now_of(site);
        QueryLine { site, now }
    }
}

impl Drop for QueryLine {
    #[inline]
    fn drop(&mut self) {
        if let Some(now) = self.now {
            frame::go_to(self.site, now);
        }
    }
}
