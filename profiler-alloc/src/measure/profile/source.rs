//! The text of a function: embedded, or found where it was compiled.

use std::fs;
use std::path::{Path, PathBuf};

use profiler_alloc_format::source_hash;

use super::function::About;

/// Source files are not larger. *Bytes.*
const LONGEST: u64 = 16 << 20;

pub(super) struct Text {
    /// From the function's first line to its last; empty if not found.
    pub lines: Vec<String>,
    pub note: Option<String>,
}

/// The lines of the function that `about` describes.
pub(super) fn lines_of(about: &About) -> Text {
    if !about.is_written {
        return Text {
            note: Some(
                "a macro has made this function: put #[profile] above the attribute that did, for the lines"
                    .to_owned(),
            ),
            ..text_of(about)
        };
    }
    text_of(about)
}

fn text_of(about: &About) -> Text {
    if let Some(source) = about.source {
        return Text {
            lines: source.lines().map(str::to_owned).collect(),
            note: None,
        };
    }
    let Some(file) = find(about).and_then(|path| fs::read(path).ok()) else {
        return Text {
            lines: Vec::new(),
            note: Some(format!(
                "source not found: {}; #[profile(embed)] puts it into the program",
                about.file
            )),
        };
    };
    let (first, last) = about.span;
    let file = String::from_utf8_lossy(&file);
    let lines: Vec<String> = file
        .lines()
        .skip(first.saturating_sub(1) as usize)
        .take((last + 1).saturating_sub(first) as usize)
        .map(str::to_owned)
        .collect();
    let is_changed = about.source_hash != 0
        && source_hash(lines.iter().map(String::as_str)) != about.source_hash;
    Text {
        lines,
        note: is_changed.then(|| "the source was changed since the program was built".to_owned()),
    }
}

/// The file, relative to the present folder, or to the package's or a folder around it.
fn find(about: &About) -> Option<PathBuf> {
    let file = Path::new(about.file);
    let around = about
        .manifest_dir
        .into_iter()
        .flat_map(|dir| Path::new(dir).ancestors());
    // Folders of the build first: the present folder may hold another file of that name.
    let mut places = around.map(|dir| dir.join(file)).chain([file.to_owned()]);
    places.find(|path| {
        fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= LONGEST)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::report::profile::Columns;

    fn about(file: &'static str, source_hash: u64) -> About {
        About {
            is_written: true,
            function: "app::f",
            here: None,
            file,
            manifest_dir: option_env!("CARGO_MANIFEST_DIR"),
            span: (1, 1),
            lines: &[1],
            source: None,
            source_hash,
            columns: Columns::default(),
            precision: 1,
            each_call: false,
        }
    }

    #[test]
    fn a_file_is_found_around_the_package() {
        let text = lines_of(&about(file!(), 0));
        assert!(text.lines[0].starts_with("//! The text of a function"));
        assert_eq!(text.note, None);
        assert_eq!(
            lines_of(&about(
                file!(),
                source_hash(text.lines.iter().map(String::as_str))
            ))
            .note,
            None
        );
    }

    #[test]
    fn a_function_that_a_macro_has_made_says_so() {
        let made = About {
            is_written: false,
            ..about(file!(), 0)
        };
        let text = lines_of(&made);
        assert!(text.note.unwrap().contains("above the attribute that did"));
        assert_eq!(text.lines.len(), 1);
    }

    #[test]
    fn a_file_that_is_gone_or_changed_is_noted() {
        let note = |about: About| lines_of(&about).note.unwrap();
        assert!(note(about("src/gone.rs", 0)).starts_with("source not found: src/gone.rs"));
        assert!(note(about(file!(), 1)).contains("changed since"));
        assert!(lines_of(&about("/dev/zero", 0)).lines.is_empty());
    }
}
