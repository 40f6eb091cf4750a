//! The time of a recording: nanoseconds since it started.

use crate::ffi::os;

/// When a recording started.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started_ns: u64,
}

impl Clock {
    /// Of a recording that starts now.
    pub fn start() -> Clock {
        Clock {
            started_ns: os::now_ns(),
        }
    }

    /// At the resolution of the system's tick (1 to 4 ms): what the slow path can afford.
    #[inline]
    pub fn elapsed(self) -> u64 {
        os::coarse_ns().saturating_sub(self.started_ns)
    }

    /// To the nanosecond, for what is rare.
    #[inline]
    pub fn now(self) -> u64 {
        os::now_ns().saturating_sub(self.started_ns)
    }
}
