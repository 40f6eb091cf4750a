//! What a recording is asked to do, from the environment or from code.

use profiler_alloc_format::{MODE_ALL, MODE_AUTO, MODE_FIXED, env};

use crate::sys;

/// Which allocations are recorded with their stack. All are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Sample {
    /// Every one at first, then as many as the time budget allows.
    #[default]
    Auto,
    /// Every one.
    All,
    /// On average one per this many bytes.
    Every(u32),
}

/// All settings of a recording.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Settings {
    pub sample: Sample,
    /// Time budget for [`Sample::Auto`], millionths of the CPU time.
    pub overhead_ppm: u32,
    /// Frames kept of one stack.
    pub stack_depth: u32,
    /// First interval of the timeline, nanoseconds.
    pub timeline_ns: u64,
    pub run_id: u64,
    /// What counts as the user's own; to be copied before the environment changes.
    pub own: &'static [u8],
}

/// Fewest and most frames that can be kept.
pub const STACK_DEPTHS: core::ops::RangeInclusive<u32> = 16..=8192;

impl Settings {
    pub const DEFAULT: Settings = Settings {
        sample: Sample::Auto,
        overhead_ppm: 20_000,
        stack_depth: 512,
        timeline_ns: 1_000_000,
        run_id: 0,
        own: &[],
    };

    /// As the environment variables say; what they say wrongly stays at its default, after a line on stderr.
    pub fn from_env() -> Settings {
        let mut settings = Settings::DEFAULT;
        read(env::SAMPLE, |text| {
            settings.sample = match text {
                b"auto" => Sample::Auto,
                b"all" => Sample::All,
                _ => Sample::Every(
                    u32::try_from(whole(text)?)
                        .ok()
                        .filter(|&bytes| bytes > 0)?,
                ),
            };
            Some(())
        });
        read(env::OVERHEAD, |text| {
            settings.overhead_ppm = percent_ppm(text)?;
            Some(())
        });
        read(env::STACK_DEPTH, |text| {
            let depth = u32::try_from(whole(text)?).ok()?;
            settings.stack_depth = STACK_DEPTHS.contains(&depth).then_some(depth)?;
            Some(())
        });
        read(env::TIMELINE_MS, |text| {
            settings.timeline_ns = whole(text)?.clamp(1, 86_400_000) * 1_000_000;
            Some(())
        });
        read(env::RUN_ID, |text| {
            settings.run_id = whole(text)?;
            Some(())
        });
        settings.own = sys::env(env::OWN).unwrap_or_default();
        settings
    }

    /// The mode and first interval that the file's header states.
    pub fn mode(&self) -> (u32, u64) {
        match self.sample {
            Sample::Auto => (MODE_AUTO, 0),
            Sample::All => (MODE_ALL, 0),
            Sample::Every(bytes) => (MODE_FIXED, u64::from(bytes)),
        }
    }
}

fn read(name: &str, parse: impl FnOnce(&[u8]) -> Option<()>) {
    if let Some(text) = sys::env(name).filter(|text| !text.is_empty())
        && parse(text).is_none()
    {
        sys::warn(&[name.as_bytes(), b" is not valid and ignored: ", text]);
    }
}

fn whole(text: &[u8]) -> Option<u64> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

/// `2.5` percent is 25,000 millionths.
fn percent_ppm(text: &[u8]) -> Option<u32> {
    let percent: f64 = core::str::from_utf8(text).ok()?.parse().ok()?;
    (0.0..=100.0)
        .contains(&percent)
        .then_some((percent * 10_000.0).round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_become_millionths() {
        assert_eq!(percent_ppm(b"2.5"), Some(25_000));
        assert_eq!(percent_ppm(b"0"), Some(0));
        assert_eq!(percent_ppm(b"101"), None);
        assert_eq!(percent_ppm(b"NaN"), None);
        assert_eq!(percent_ppm(b"-1"), None);
    }
}
