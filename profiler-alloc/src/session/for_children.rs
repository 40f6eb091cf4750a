//! What the forked children of a recorded program begin their own recordings with.

use profiler_alloc_format::env::Forks;

use super::settings::Settings;
use crate::ffi::memory;

/// The parent's path pattern and settings, in memory that the program does not change.
#[derive(Clone, Copy)]
pub struct ForChildren {
    /// The pattern of the path.
    pub pattern: &'static [u8],
    /// The settings.
    pub settings: Settings,
}

impl ForChildren {
    /// `None` if children are not to be recorded, or the system refuses memory.
    pub fn of(pattern: &[u8], settings: &Settings) -> Option<ForChildren> {
        if settings.forks == Forks::Left {
            return None;
        }
        Some(ForChildren {
            pattern: memory::copied(pattern)?,
            settings: Settings {
                own: memory::copied(settings.own)?,
                test: settings.test.copied()?,
                ..*settings
            },
        })
    }
}
