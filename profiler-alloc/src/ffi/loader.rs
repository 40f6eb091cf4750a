//! The executables and libraries of the process: where each lies, and which build it is.

use core::ffi::CStr;

use crate::hash::mix;

#[cfg_attr(can_record, path = "linux/loader.rs")]
#[cfg_attr(not(can_record), path = "elsewhere/loader.rs")]
mod system;

pub use system::{Loader, each};

/// An executable or library that is loaded now.
#[derive(Debug)]
pub struct LoadedModule<'a> {
    pub start: usize,
    pub end: usize,
    pub bias: usize,
    /// Empty for the main program.
    pub name: &'a CStr,
    pub build_id: BuildId,
    /// Address of `.eh_frame_hdr`; 0 if there is none.
    pub unwind_index: usize,
    /// End of the segment that holds it.
    pub unwind_end: usize,
}

/// Zero-padded.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct BuildId {
    pub words: [u64; 4],
    pub len: usize,
}

impl LoadedModule<'_> {
    /// The same number for the same file at the same place, and another for anything else.
    pub fn identity(&self) -> u64 {
        let place = [self.start, self.end, self.bias, self.unwind_index].map(|part| part as u64);
        let name = self.name.to_bytes().iter().map(|&byte| u64::from(byte));
        place
            .into_iter()
            .chain(self.build_id.words)
            .chain(name)
            .fold(0, |hash, part| mix(hash ^ part).wrapping_add(1))
    }
}
