//! What a recording is asked to do, from the environment or from code.

use core::str::FromStr;

use profiler_alloc_format::env::{
    self, AccountInterval, Forks, Grant, Overhead, Refused, Sample, StackDepth, TimelineInterval,
};
use profiler_alloc_format::{MODE_ALL, MODE_AUTO, MODE_FIXED};

use super::test_process::TestProcess;
use crate::ffi::os;

/// All settings of a recording; each is within its range.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Settings {
    pub sample: Sample,
    /// Time budget for [`Sample::Auto`].
    pub overhead: Overhead,
    /// Time on top of it.
    pub grant: Grant,
    pub stack_depth: StackDepth,
    pub timeline: TimelineInterval,
    pub accounts: AccountInterval,
    pub run_id: u64,
    /// Whether forked children are recorded too, with the same settings.
    pub forks: Forks,
    /// The process that forked this one, if its recording goes on here.
    pub forked_from: u32,
    /// What counts as the user's own; to be copied before the environment changes.
    pub own: &'static [u8],
    /// The test that runs in this process; to be copied likewise.
    pub test: TestProcess,
}

impl Settings {
    pub const DEFAULT: Settings = Settings {
        sample: Sample::Auto,
        overhead: Overhead::DEFAULT,
        grant: Grant::DEFAULT,
        stack_depth: StackDepth::DEFAULT,
        timeline: TimelineInterval::DEFAULT,
        accounts: AccountInterval::DEFAULT,
        run_id: 0,
        // Who starts and ends a recording from code has one process in mind.
        forks: Forks::Left,
        forked_from: 0,
        own: &[],
        test: TestProcess::NONE,
    };

    /// As the variables of `env` say, the environment's or those of a request; what they say
    /// wrongly stays at its default, after a line on stderr.
    pub fn from(variable: impl Fn(&str) -> Option<&'static [u8]> + Copy) -> Settings {
        let default = Settings::DEFAULT;
        Settings {
            sample: setting(variable, env::SAMPLE).unwrap_or(default.sample),
            overhead: setting(variable, env::OVERHEAD).unwrap_or(default.overhead),
            grant: setting(variable, env::GRANT_MS).unwrap_or(default.grant),
            stack_depth: setting(variable, env::STACK_DEPTH).unwrap_or(default.stack_depth),
            timeline: setting(variable, env::TIMELINE_MS).unwrap_or(default.timeline),
            accounts: setting(variable, env::ACCOUNTS_MS).unwrap_or(default.accounts),
            run_id: setting::<RunId>(variable, env::RUN_ID).map_or(default.run_id, |RunId(id)| id),
            forks: setting(variable, env::FORKS).unwrap_or_default(),
            forked_from: 0,
            own: variable(env::OWN).unwrap_or_default(),
            test: TestProcess::from(variable),
        }
    }

    /// The mode and first interval that the file's header states.
    pub fn mode(&self) -> (u32, u64) {
        match self.sample {
            Sample::All => (MODE_ALL, 0),
            Sample::Every(bytes) => (MODE_FIXED, bytes),
            _ => (MODE_AUTO, 0),
        }
    }
}

struct RunId(u64);

impl FromStr for RunId {
    type Err = Refused;

    fn from_str(text: &str) -> Result<RunId, Refused> {
        text.parse().map(RunId).map_err(|_| Refused("a number"))
    }
}

/// The value of the variable `name`, if it has one that the setting takes.
pub fn setting<T: FromStr<Err = Refused>>(
    variable: impl Fn(&str) -> Option<&'static [u8]>,
    name: &str,
) -> Option<T> {
    let text = variable(name).filter(|text| !text.is_empty())?;
    let text_or_none = core::str::from_utf8(text).unwrap_or_default();
    match text_or_none.parse() {
        Ok(value) => Some(value),
        Err(Refused(takes)) => {
            let (name, takes) = (name.as_bytes(), takes.as_bytes());
            os::warn(&[name, b" is ignored: write ", takes, b", not ", text]);
            None
        }
    }
}
