//! What a run asks of the recorder, and the environment variables that say so.

use std::ffi::OsString;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU64;

use profiler_alloc_format::env::{
    self, AccountInterval, Forks, Grant, Only, Overhead, Sample, StackDepth, TimelineInterval,
};

/// Tells the system's loader what to load first into every program.
pub const PRELOAD: &str = "LD_PRELOAD";

/// The number by which a run finds its own profiles again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunId(NonZeroU64);

impl RunId {
    /// A number no other run has.
    pub fn random() -> RunId {
        // std seeds this state from the system's random numbers.
        let number = RandomState::new().hash_one(std::process::id());
        RunId(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN))
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What to record, and where to. What is `None` the recorder chooses itself.
#[derive(Debug)]
pub struct Request {
    /// Path pattern of the profiles.
    pub output: OsString,
    /// Number of this run.
    pub run_id: RunId,
    /// Which allocations have their stacks taken.
    pub sample: Option<Sample>,
    /// Time budget.
    pub overhead: Option<Overhead>,
    /// Time on top of it.
    pub grant: Option<Grant>,
    /// Frames kept of one stack.
    pub stack_depth: Option<StackDepth>,
    /// Time between two points of the timeline.
    pub timeline_interval: Option<TimelineInterval>,
    /// Time between two accounts of the resident memory.
    pub account_interval: Option<AccountInterval>,
    /// Whether forked children have profiles of their own.
    pub forks: Forks,
    /// Which programs of the run are recorded.
    pub only: Only,
    /// Crates and paths that count as the user's own in every view.
    pub own: Vec<String>,
    /// What `LD_PRELOAD` is set to, for programs that do not have the crate.
    pub preload: Option<OsString>,
}

impl Request {
    /// The variables to set in the program's environment.
    pub fn variables(&self) -> Vec<(&'static str, OsString)> {
        let own = (!self.own.is_empty()).then(|| self.own.join(","));
        fn text(value: Option<impl fmt::Display>) -> Option<String> {
            value.map(|value| value.to_string())
        }
        let wishes = [
            (env::RUN_ID, text(Some(self.run_id))),
            (env::SAMPLE, text(self.sample)),
            (env::OVERHEAD, text(self.overhead)),
            (env::GRANT_MS, text(self.grant)),
            (env::STACK_DEPTH, text(self.stack_depth)),
            (env::TIMELINE_MS, text(self.timeline_interval)),
            (env::ACCOUNTS_MS, text(self.account_interval)),
            (env::OWN, own),
            (
                env::FORKS,
                text((self.forks == Forks::Left).then_some(self.forks)),
            ),
            (
                env::ONLY,
                text((self.only == Only::Tests).then_some(self.only)),
            ),
        ];
        let stated = |(name, value): (_, Option<String>)| Some((name, value?.into()));
        let mut variables = vec![(env::OUTPUT, self.output.clone())];
        variables.extend(wishes.into_iter().filter_map(stated));
        variables.extend(self.preload.clone().map(|paths| (PRELOAD, paths)));
        variables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_set() {
        let mut request = Request {
            output: "/tmp/x".into(),
            run_id: RunId(NonZeroU64::MAX),
            sample: None,
            overhead: None,
            grant: None,
            stack_depth: None,
            timeline_interval: None,
            account_interval: None,
            forks: Forks::Recorded,
            only: Only::All,
            own: Vec::new(),
            preload: None,
        };
        let names = |request: &Request| -> Vec<_> {
            let variables = request.variables();
            variables.into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(&request), [env::OUTPUT, env::RUN_ID]);
        request.overhead = Some(Overhead::clamped(0.5));
        request.timeline_interval = Some(TimelineInterval::DEFAULT);
        request.account_interval = Some(AccountInterval::OFF);
        request.own = vec!["jaq*".to_owned(), "src/vm/".to_owned()];
        let variables = request.variables();
        assert!(variables.contains(&(env::OVERHEAD, "0.5".into())));
        assert!(variables.contains(&(env::TIMELINE_MS, "1".into())));
        assert!(variables.contains(&(env::ACCOUNTS_MS, "off".into())));
        assert!(variables.contains(&(env::OWN, "jaq*,src/vm/".into())));
        request.forks = Forks::Left;
        assert!(request.variables().contains(&(env::FORKS, "0".into())));
        request.only = Only::Tests;
        assert!(request.variables().contains(&(env::ONLY, "tests".into())));
        request.preload = Some("/c/m.so".into());
        assert_eq!(request.variables().pop(), Some((PRELOAD, "/c/m.so".into())));
    }

    #[test]
    fn run_ids_differ() {
        assert_ne!(RunId::random(), RunId::random());
    }
}
