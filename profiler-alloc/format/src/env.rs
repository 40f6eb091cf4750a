//! The contract of the two halves: the environment variables by which `memprof run` asks a
//! program's recorder to record, and the type of each setting: its range, how it is read, how it is
//! written.
//!
//! All are read once, before the first allocation is recorded, and are inherited by child programs,
//! so that every program of a tree writes a profile of its own. `memprof run` refuses a value
//! before the program starts exactly where the recorder would refuse it: both parse it here.
//!
//! ```
//! use profiler_alloc_format::env::{Refused, Sample, StackDepth};
//!
//! assert_eq!("64KiB".parse(), Ok(Sample::Every(65_536)));
//! assert_eq!(Sample::Every(65_536).to_string(), "65536");
//! assert_eq!("5".parse::<StackDepth>(), Err(Refused("16 to 8192 frames")));
//! ```

use core::fmt;
use core::ops::RangeInclusive;
use core::str::FromStr;
use core::time::Duration;

use crate::size::parse_size;

/// Path of the profile to write. `%e` stands for the program's file name, `%p` for its process
/// number, `%%` for `%`.
///
/// An existing file is never overwritten: `.NAME.PID.memprof` is appended, or, where the pattern
/// names the process already, the library that records (`app.42._ext.so.memprof`) or a number
/// (`app.42.2.memprof`) is put before the extension. A recording starts if and only if this is set
/// and not empty.
pub const OUTPUT: &str = "MEMPROF_OUTPUT";
/// A [`Sample`].
pub const SAMPLE: &str = "MEMPROF_SAMPLE";
/// An [`Overhead`].
pub const OVERHEAD: &str = "MEMPROF_OVERHEAD";
/// A [`Grant`], in milliseconds.
pub const GRANT_MS: &str = "MEMPROF_GRANT_MS";
/// A [`StackDepth`].
pub const STACK_DEPTH: &str = "MEMPROF_STACK_DEPTH";
/// A [`TimelineInterval`], in milliseconds.
pub const TIMELINE_MS: &str = "MEMPROF_TIMELINE_MS";
/// An [`AccountInterval`], in milliseconds, or `off`.
pub const ACCOUNTS_MS: &str = "MEMPROF_ACCOUNTS_MS";
/// A decimal number that `memprof run` chose; the header repeats it, so that the run can find its
/// profiles.
pub const RUN_ID: &str = "MEMPROF_RUN_ID";
/// Crates and paths that count as the user's own in every view of the profile, apart by commas.
pub const OWN: &str = "MEMPROF_OWN";
/// A [`Forks`].
pub const FORKS: &str = "MEMPROF_FORKS";
/// An [`Only`].
pub const ONLY: &str = "MEMPROF_ONLY";
/// `1` turns off every wrapper (`#[profile]` and its kin); recordings are not affected.
pub const OFF: &str = "MEMPROF_OFF";

/// A value that its setting does not take. Holds what it does take, in words: `16 to 8192 frames`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused(pub &'static str);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "write {}", self.0)
    }
}

impl core::error::Error for Refused {}

/// Which allocations are recorded with their stack. All are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Sample {
    /// Every one at first, then as many as the time budget allows.
    #[default]
    Auto,
    /// Every one.
    All,
    /// On average one per this many bytes: 1 to 1 TiB.
    Every(u64),
}

impl Sample {
    /// The intervals that [`Sample::Every`] takes. One sample of a byte then stands for 2^40 blocks
    /// at most, which a fixed-point count has room for.
    pub const INTERVALS: RangeInclusive<u64> = 1..=1 << 40;
    const TAKES: Refused =
        Refused("`auto`, `all`, or a size from 1 byte to 1 TiB, such as 4096, 64KiB or 1.5MiB");

    /// This way of sampling with its interval brought into the range.
    pub fn within_range(self) -> Sample {
        match self {
            Sample::Every(bytes) => Sample::Every(clamped(bytes, Sample::INTERVALS)),
            other => other,
        }
    }
}

impl FromStr for Sample {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Sample, Refused> {
        match text {
            "auto" => Ok(Sample::Auto),
            "all" => Ok(Sample::All),
            size => parse_size(size)
                .filter(|bytes| Sample::INTERVALS.contains(bytes))
                .map(Sample::Every)
                .ok_or(Sample::TAKES),
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sample::Auto => f.write_str("auto"),
            Sample::All => f.write_str("all"),
            Sample::Every(bytes) => bytes.fmt(f),
        }
    }
}

/// Time the recorder may take under [`Sample::Auto`], in millionths of the program's CPU time;
/// written in percent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overhead(u32);

impl Overhead {
    /// 2 %.
    pub const DEFAULT: Overhead = Overhead(20_000);
    const TAKES: Refused = Refused("a percentage from 0 to 100, such as 2 or 0.5");

    /// `percent` brought into 0 to 100; no number is 0.
    pub fn clamped(percent: f64) -> Overhead {
        Overhead((percent.clamp(0.0, 100.0) * 10_000.0).round() as u32)
    }

    /// Millionths: 20,000 of 2 %.
    pub fn ppm(self) -> u32 {
        self.0
    }
}

impl FromStr for Overhead {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Overhead, Refused> {
        let number = text.trim().trim_end_matches('%').trim_end();
        match number.parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Overhead::clamped(percent)),
            _ => Err(Overhead::TAKES),
        }
    }
}

impl fmt::Display for Overhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (f64::from(self.0) / 10_000.0).fmt(f)
    }
}

/// Time the recorder may take under [`Sample::Auto`] on top of the overhead: until half of it is
/// used up, every allocation is recorded. Written in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant(u64);

impl Grant {
    /// 6 ms: the first 3 ms are some 10,000 allocations with their frees.
    pub const DEFAULT: Grant = Grant(6);
    /// Least and most, in milliseconds: none, and an hour.
    pub const RANGE_MS: RangeInclusive<u64> = 0..=3_600_000;
    const TAKES: Refused = Refused("a time of up to 60 min, such as 100ms or 2s");

    /// `time`, if it is in the range.
    pub fn new(time: Duration) -> Result<Grant, Refused> {
        let time_ms = whole_ms(time);
        match Grant::RANGE_MS.contains(&time_ms) {
            true => Ok(Grant(time_ms)),
            false => Err(Grant::TAKES),
        }
    }

    /// `time` brought into the range.
    pub fn clamped(time: Duration) -> Grant {
        Grant(clamped(whole_ms(time), Grant::RANGE_MS))
    }

    /// In nanoseconds.
    pub fn ns(self) -> u64 {
        self.0 * 1_000_000
    }
}

impl FromStr for Grant {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Grant, Refused> {
        let time_ms = text.parse().map_err(|_| Grant::TAKES)?;
        Grant::new(Duration::from_millis(time_ms))
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Frames kept of one stack; of a deeper one both ends are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StackDepth(u32);

impl StackDepth {
    /// 512 frames.
    pub const DEFAULT: StackDepth = StackDepth(512);
    /// Fewest and most frames that can be kept.
    pub const RANGE: RangeInclusive<u32> = 16..=8192;
    const TAKES: Refused = Refused("16 to 8192 frames");

    /// `frames` brought into the range.
    pub fn clamped(frames: u32) -> StackDepth {
        StackDepth(clamped(frames, StackDepth::RANGE))
    }

    /// How many.
    pub fn frames(self) -> u32 {
        self.0
    }
}

impl FromStr for StackDepth {
    type Err = Refused;

    fn from_str(text: &str) -> Result<StackDepth, Refused> {
        match text.parse() {
            Ok(frames) if StackDepth::RANGE.contains(&frames) => Ok(StackDepth(frames)),
            _ => Err(StackDepth::TAKES),
        }
    }
}

impl fmt::Display for StackDepth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// First time between two points of the timeline; it doubles whenever the timeline is full. Written
/// in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimelineInterval(u64);

impl TimelineInterval {
    /// 1 ms.
    pub const DEFAULT: TimelineInterval = TimelineInterval(1);
    /// Shortest and longest, in milliseconds: the system's tick is no finer, and a day is long.
    pub const RANGE_MS: RangeInclusive<u64> = 1..=86_400_000;
    const TAKES: Refused = Refused("a time from 1 ms to 1440 min, such as 100ms or 2s");

    /// `interval`, if it is in the range.
    pub fn new(interval: Duration) -> Result<TimelineInterval, Refused> {
        let interval_ms = whole_ms(interval);
        match TimelineInterval::RANGE_MS.contains(&interval_ms) {
            true => Ok(TimelineInterval(interval_ms)),
            false => Err(TimelineInterval::TAKES),
        }
    }

    /// `interval` brought into the range.
    pub fn clamped(interval: Duration) -> TimelineInterval {
        let interval_ms = whole_ms(interval);
        TimelineInterval(clamped(interval_ms, TimelineInterval::RANGE_MS))
    }

    /// In nanoseconds.
    pub fn ns(self) -> u64 {
        self.0 * 1_000_000
    }
}

impl FromStr for TimelineInterval {
    type Err = Refused;

    fn from_str(text: &str) -> Result<TimelineInterval, Refused> {
        let interval_ms = text.parse().map_err(|_| TimelineInterval::TAKES)?;
        TimelineInterval::new(Duration::from_millis(interval_ms))
    }
}

impl fmt::Display for TimelineInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// First time between two accounts of the resident memory; it doubles whenever there is no more
/// room for them. Written in milliseconds; `off` is none at all, nor one at the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccountInterval(Option<u64>);

impl AccountInterval {
    /// 1 s.
    pub const DEFAULT: AccountInterval = AccountInterval(Some(1000));
    /// No accounts.
    pub const OFF: AccountInterval = AccountInterval(None);
    /// Shortest and longest, in milliseconds.
    pub const RANGE_MS: RangeInclusive<u64> = 10..=86_400_000;
    const TAKES: Refused = Refused("a time from 10 ms to 1440 min, such as 5s, or `off`");

    /// `interval`, if it is in the range.
    pub fn new(interval: Duration) -> Result<AccountInterval, Refused> {
        let interval_ms = whole_ms(interval);
        match AccountInterval::RANGE_MS.contains(&interval_ms) {
            true => Ok(AccountInterval(Some(interval_ms))),
            false => Err(AccountInterval::TAKES),
        }
    }

    /// `interval` brought into the range; `None` is off.
    pub fn clamped(interval: Option<Duration>) -> AccountInterval {
        let ms = |interval| clamped(whole_ms(interval), AccountInterval::RANGE_MS);
        AccountInterval(interval.map(ms))
    }

    /// In nanoseconds; `None` if there are to be none.
    pub fn ns(self) -> Option<u64> {
        self.0.map(|ms| ms * 1_000_000)
    }
}

impl FromStr for AccountInterval {
    type Err = Refused;

    fn from_str(text: &str) -> Result<AccountInterval, Refused> {
        if text == "off" {
            return Ok(AccountInterval::OFF);
        }
        let interval_ms = text.parse().map_err(|_| AccountInterval::TAKES)?;
        AccountInterval::new(Duration::from_millis(interval_ms))
    }
}

impl fmt::Display for AccountInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(ms) => ms.fmt(f),
            None => f.write_str("off"),
        }
    }
}

/// Whether a child that is forked, and goes on without executing a program, gets a profile of its
/// own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Forks {
    /// It does. Written `1`.
    #[default]
    Recorded,
    /// It does not. Written `0`.
    Left,
}

impl FromStr for Forks {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Forks, Refused> {
        match text {
            "1" => Ok(Forks::Recorded),
            "0" => Ok(Forks::Left),
            _ => Err(Refused("1 or 0")),
        }
    }
}

impl fmt::Display for Forks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Forks::Recorded => "1",
            Forks::Left => "0",
        })
    }
}

/// Which programs of a tree are recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Only {
    /// All of them. Written `all`.
    #[default]
    All,
    /// Tests that [nextest](https://nexte.st) runs, and what they start: not the runner itself, nor
    /// the compiler, nor programs that list their tests. Written `tests`.
    Tests,
}

impl FromStr for Only {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Only, Refused> {
        match text {
            "all" => Ok(Only::All),
            "tests" => Ok(Only::Tests),
            _ => Err(Refused("`all` or `tests`")),
        }
    }
}

impl fmt::Display for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Only::All => "all",
            Only::Tests => "tests",
        })
    }
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn clamped<T: Ord + Copy>(value: T, range: RangeInclusive<T>) -> T {
    value.clamp(*range.start(), *range.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is printed is parsed again as the same value.
    fn round_trips<T: FromStr<Err = Refused> + fmt::Display + PartialEq + fmt::Debug>(
        text: &str,
        printed: &str,
    ) -> T {
        let value: T = text
            .parse()
            .unwrap_or_else(|refused| panic!("{text}: {refused}"));
        assert_eq!(value.to_string(), printed, "{text}");
        assert_eq!(printed.parse::<T>().as_ref(), Ok(&value), "{text}");
        value
    }

    #[test]
    fn what_one_half_writes_the_other_reads() {
        assert_eq!(round_trips::<Sample>("auto", "auto"), Sample::Auto);
        assert_eq!(round_trips::<Sample>("all", "all"), Sample::All);
        assert_eq!(
            round_trips::<Sample>("8GiB", "8589934592"),
            Sample::Every(8 << 30)
        );
        assert_eq!(
            round_trips::<Sample>("1TiB", "1099511627776"),
            Sample::Every(1 << 40)
        );
        assert_eq!(round_trips::<Forks>("0", "0"), Forks::Left);
        assert_eq!(round_trips::<Forks>("1", "1"), Forks::default());
        assert_eq!("yes".parse::<Forks>(), Err(Refused("1 or 0")));
        assert_eq!(round_trips::<Only>("tests", "tests"), Only::Tests);
        assert_eq!(round_trips::<Only>("all", "all"), Only::default());
        assert_eq!("".parse::<Only>(), Err(Refused("`all` or `tests`")));
        assert_eq!(round_trips::<Overhead>("2.5", "2.5").ppm(), 25_000);
        assert_eq!(round_trips::<Overhead>("0.5 %", "0.5").ppm(), 5_000);
        assert_eq!(round_trips::<Overhead>("0", "0").ppm(), 0);
        assert_eq!(round_trips::<Grant>("0", "0").ns(), 0);
        assert_eq!(round_trips::<Grant>("100", "100").ns(), 100_000_000);
        assert_eq!(round_trips::<StackDepth>("16", "16").frames(), 16);
        assert_eq!(round_trips::<StackDepth>("8192", "8192").frames(), 8192);
        assert_eq!(round_trips::<AccountInterval>("off", "off").ns(), None);
        assert_eq!(
            round_trips::<AccountInterval>("50", "50").ns(),
            Some(50_000_000)
        );
        assert_eq!(
            round_trips::<TimelineInterval>("2000", "2000").ns(),
            2_000_000_000
        );
    }

    #[test]
    fn what_is_beyond_a_range_is_refused_with_the_range() {
        for text in ["0", "1.5TiB", "-1", "", "every", "2.5"] {
            assert_eq!(text.parse::<Sample>(), Err(Sample::TAKES), "{text}");
        }
        for text in ["101", "-1", "NaN", "inf", "", "%"] {
            assert_eq!(text.parse::<Overhead>(), Err(Overhead::TAKES), "{text}");
        }
        for text in ["5", "15", "8193", "4294967312", "many", ""] {
            assert_eq!(text.parse::<StackDepth>(), Err(StackDepth::TAKES), "{text}");
        }
        for text in ["3600001", "-1", "4ms", ""] {
            assert_eq!(text.parse::<Grant>(), Err(Grant::TAKES), "{text}");
        }
        for text in ["0", "86400001", "18446744073709551616", "1ms"] {
            let parsed = text.parse::<TimelineInterval>();
            assert_eq!(parsed, Err(TimelineInterval::TAKES), "{text}");
        }
        for text in ["", "0", "9", "86400001", "on", "1s"] {
            let parsed = text.parse::<AccountInterval>();
            assert_eq!(parsed, Err(AccountInterval::TAKES), "{text}");
        }
        let short = TimelineInterval::new(Duration::from_micros(10));
        assert_eq!(short, Err(TimelineInterval::TAKES));
    }

    #[test]
    fn values_from_code_are_brought_into_the_range() {
        let day = Duration::from_secs(86_400);
        assert_eq!(Grant::clamped(day).ns(), 3_600_000_000_000);
        assert_eq!(StackDepth::clamped(5).frames(), 16);
        assert_eq!(StackDepth::clamped(u32::MAX).frames(), 8192);
        assert_eq!(Sample::Every(0).within_range(), Sample::Every(1));
        assert_eq!(
            Sample::Every(u64::MAX).within_range(),
            Sample::Every(1 << 40)
        );
        assert_eq!(Overhead::clamped(1e9).ppm(), 1_000_000);
        assert_eq!(Overhead::clamped(f64::NAN).ppm(), 0);
        let soonest = AccountInterval::clamped(Some(Duration::ZERO));
        assert_eq!(soonest.ns(), Some(10_000_000));
        assert_eq!(AccountInterval::clamped(None), AccountInterval::OFF);
        assert_eq!(TimelineInterval::clamped(Duration::ZERO).ns(), 1_000_000);
    }
}
