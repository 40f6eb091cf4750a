//! Which source files are not those that the program was built from.
//!
//! Where the debug information has the MD5 of a file, that decides. rustc writes none, so
//! `memprof run` notes the MD5s of the program's own files when it has ended, and whether each was
//! newer than the program:
//!
//! ```text
//! noted         now    another file?
//! abc, older    abc    no, whatever its date: a checkout, a copy, `touch`
//! abc, any      def    yes: edited since the recording
//! abc, newer    abc    as if nothing were noted: edited before the recording, or only touched
//! ```
//!
//! Where nothing is noted, a file that was written after the program is another only if it
//! contradicts the program:
//!
//! ```text
//! program: code of `load` on line 8    file: 7  }
//!                                            8             <- an edit above has moved `load`
//!                                            9  fn load(n: usize) {
//! ```

use std::collections::{BTreeSet, HashMap};

use super::naming;
use crate::profile::Profile;
use crate::source::{SourceText, Sources};
use crate::symbolize::{CodeFrame, Symbols};

/// The files looked at, by the path that is shown, and whether each is another one.
#[derive(Default)]
pub(super) struct SourceChanges {
    files: HashMap<String, bool>,
}

impl SourceChanges {
    /// Looks whether the source file of `code` is another one, judged by that code.
    pub(super) fn look_at(
        &mut self,
        profile: &Profile,
        symbols: &Symbols,
        sources: &mut Sources,
        code: &CodeFrame,
    ) {
        let Some(line) = code.line else { return };
        let source = sources.get(&code.file);
        let Some(text) = &source.text else { return };
        let known = self.files.entry(source.shown.clone()).or_default();
        *known = *known
            || match symbols.digest(code.module, &code.file) {
                Some(digest) => digest != text.md5,
                None => match profile.sources.get(&code.file) {
                    Some(noted) if noted.md5 != text.md5 => true,
                    Some(noted) if !noted.was_newer => false,
                    _ => is_newer(text, profile, code) && contradicts(text, code, line),
                },
            };
    }

    /// The files that are other ones, as they are shown.
    pub(super) fn files(self) -> BTreeSet<String> {
        let changed = self.files.into_iter().filter(|(_, is_changed)| *is_changed);
        changed.map(|(file, _)| file).collect()
    }
}

/// Whether the file was written after the module with this code.
fn is_newer(text: &SourceText, profile: &Profile, code: &CodeFrame) -> bool {
    let module = profile.modules.get(usize::from(code.module));
    let built_ns = module.map_or(0, |module| module.modified_ns);
    built_ns != 0 && text.modified_ns > built_ns
}

fn contradicts(text: &SourceText, code: &CodeFrame, line: u32) -> bool {
    text.contradicts(naming::last(&naming::simplify(&code.function)), line)
}
