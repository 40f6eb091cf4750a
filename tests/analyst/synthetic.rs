//! A program that never ran: its source, its symbols and its profile, made by hand.

use std::fs;
use std::path::Path;

use memprof::defect::Defect;
use memprof::profile::{self, Frame, Profile, builder::Builder};
use memprof::report::{Report, Scope, Selection};
use memprof::source::{Places, Sources};
use memprof::symbolize::{CodeFrame, Symbols};

/// A program whose source is in a folder of its own.
pub struct Program {
    pub folder: tempfile::TempDir,
    pub builder: Builder,
    pub symbols: Symbols,
    next: u64,
}

impl Program {
    pub fn new(source: &str) -> Program {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(folder.path().join("src/main.rs"), source).unwrap();
        let mut builder = Builder::new();
        builder.module("/bin/app");
        builder.header.final_ns = 2_000_000_000;
        Program {
            folder,
            builder,
            symbols: Symbols::default(),
            next: 0,
        }
    }

    /// A frame that stands for `places` (function, line) in `src/main.rs`, innermost first.
    pub fn frame(&mut self, places: &[(&str, u32)]) -> Frame {
        let file = self.folder.path().join("src/main.rs");
        let file = file.to_str().unwrap();
        let code = places
            .iter()
            .map(|(function, line)| CodeFrame::new(function, file, *line));
        self.frame_of(code.collect())
    }

    pub fn frame_of(&mut self, code: Vec<CodeFrame>) -> Frame {
        self.next += 16;
        let frame = Frame::new(0, self.next);
        self.symbols.insert(frame, code);
        frame
    }

    pub fn profile(&self) -> (Profile, Vec<Defect>) {
        profile::parse(Path::new("app.memprof"), self.builder.to_input()).unwrap()
    }

    pub fn sources(&self) -> Sources {
        Sources::new(Places {
            current_dir: self.folder.path().to_owned(),
            ..Places::default()
        })
    }

    pub fn report(&self, scope: Scope) -> Report {
        let (profile, defects) = self.profile();
        Report::new(&profile, &self.symbols, &mut self.sources(), scope, defects)
    }

    pub fn selected(&self) -> Report {
        let mut report = self.report(Scope::User);
        report.select(&Selection::default()).unwrap();
        report
    }
}
