//! What a run asks of the recorder, and the environment variables that say so.

use std::ffi::OsString;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use profiler_alloc_format::env;
use thiserror::Error;

use crate::units::{UnitError, parse_size};

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

/// Which allocations have their stacks taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sample {
    /// As many as the time budget allows.
    Auto,
    /// Every one.
    All,
    /// One in so many bytes, on average.
    Interval(NonZeroU64),
}

/// Why the text is no way of sampling.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SampleError {
    /// Neither a word known nor a size.
    #[error("write `auto`, `all` or a size: {0}")]
    Neither(#[from] UnitError),
    /// An interval of 0.
    #[error("an interval of 0 bytes is every allocation: write `all`")]
    Zero,
}

impl FromStr for Sample {
    type Err = SampleError;

    fn from_str(text: &str) -> Result<Sample, SampleError> {
        match text {
            "auto" => Ok(Sample::Auto),
            "all" => Ok(Sample::All),
            size => NonZeroU64::new(parse_size(size)?)
                .map(Sample::Interval)
                .ok_or(SampleError::Zero),
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sample::Auto => f.write_str("auto"),
            Sample::All => f.write_str("all"),
            Sample::Interval(bytes) => bytes.fmt(f),
        }
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
    /// Time budget in percent of the program's CPU time.
    pub overhead: Option<f64>,
    /// Frames kept of one stack.
    pub stack_depth: Option<u32>,
    /// Time between two points of the timeline.
    pub timeline_interval: Option<Duration>,
    /// Crates and paths that count as the user's own in every view.
    pub own: Vec<String>,
}

impl Request {
    /// The variables to set in the program's environment.
    pub fn variables(&self) -> Vec<(&'static str, OsString)> {
        let milliseconds = |interval: Duration| interval.as_millis().max(1).to_string();
        let own = (!self.own.is_empty()).then(|| self.own.join(","));
        let wishes = [
            (env::RUN_ID, Some(self.run_id.to_string())),
            (env::SAMPLE, self.sample.map(|sample| sample.to_string())),
            (
                env::OVERHEAD,
                self.overhead.map(|percent| percent.to_string()),
            ),
            (
                env::STACK_DEPTH,
                self.stack_depth.map(|depth| depth.to_string()),
            ),
            (env::TIMELINE_MS, self.timeline_interval.map(milliseconds)),
            (env::OWN, own),
        ];
        let stated = |(name, value): (_, Option<String>)| Some((name, value?.into()));
        let mut variables = vec![(env::OUTPUT, self.output.clone())];
        variables.extend(wishes.into_iter().filter_map(stated));
        variables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_is_written_as_the_recorder_reads_it() {
        for (text, value) in [("auto", "auto"), ("all", "all"), ("64KiB", "65536")] {
            assert_eq!(text.parse::<Sample>().unwrap().to_string(), value);
        }
        assert_eq!("0".parse::<Sample>(), Err(SampleError::Zero));
        assert!("every".parse::<Sample>().is_err());
    }

    #[test]
    fn only_what_was_asked_for_is_set() {
        let mut request = Request {
            output: "/tmp/x".into(),
            run_id: RunId(NonZeroU64::MAX),
            sample: None,
            overhead: None,
            stack_depth: None,
            timeline_interval: None,
            own: Vec::new(),
        };
        let names = |request: &Request| -> Vec<_> {
            let variables = request.variables();
            variables.into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(&request), [env::OUTPUT, env::RUN_ID]);
        request.overhead = Some(0.5);
        request.timeline_interval = Some(Duration::from_micros(10));
        request.own = vec!["jaq*".to_owned(), "src/vm/".to_owned()];
        let variables = request.variables();
        assert!(variables.contains(&(env::OVERHEAD, "0.5".into())));
        assert!(variables.contains(&(env::TIMELINE_MS, "1".into())));
        assert!(variables.contains(&(env::OWN, "jaq*,src/vm/".into())));
    }

    #[test]
    fn run_ids_differ() {
        assert_ne!(RunId::random(), RunId::random());
    }
}
