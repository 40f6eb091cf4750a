//! A profile of each version of the format that was ever published is read for ever, and says today
//! what it said on the day it was recorded.
//!
//! `tests/golden/v1.memprof.gz` is never written anew; what is shown of it may change its form, and
//! then `INSTA_UPDATE=always` refreshes the snapshots beside it, but not the figures below.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use flate2::read::GzDecoder;
use memprof::profile::{self, Profile};

/// A folder with the profile, and its program's source where it was.
struct Golden {
    folder: tempfile::TempDir,
}

impl Golden {
    fn new(version: &str) -> Golden {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let packed = fs::File::open(kept.join(format!("{version}.memprof.gz"))).unwrap();
        let mut bytes = Vec::new();
        GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("app.memprof"), bytes).unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        let source = kept.join(format!("{version}.rs"));
        fs::copy(source, folder.path().join("src/main.rs")).unwrap();
        Golden { folder }
    }

    fn read(&self) -> Profile {
        let (profile, defects) = profile::read(&self.folder.path().join("app.memprof")).unwrap();
        assert_eq!(defects, []);
        profile
    }

    fn shown(&self, view: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_memprof"));
        let command = command.args(view).arg("app.memprof");
        let source = self.folder.path().display();
        let command = command.args(["--path-map", &format!("/golden={source}")]);
        let output = command.current_dir(&self.folder).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{view:?}: {errors}");
        let shown = String::from_utf8(output.stdout).unwrap();
        shown.replace(&source.to_string(), "/golden")
    }
}

#[test]
fn version_1_has_the_figures_it_was_recorded_with() {
    let profile = Golden::new("v1").read();
    let header = &profile.header;
    assert_eq!(header.version, 1);
    let all = profile.counters();
    assert_eq!((all.allocs, all.alloc_bytes), (20_053, 11_623_283));
    assert_eq!((all.frees, all.freed_bytes), (20_010, 11_539_715));
    assert_eq!((header.heap_base, header.peak), (0, 684_814));
}

#[test]
fn version_1_is_shown_as_ever() {
    let golden = Golden::new("v1");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| {
        insta::assert_snapshot!("v1.summary", golden.shown(&["summary"]));
        insta::assert_snapshot!("v1.lines", golden.shown(&["report", "--all"]));
        insta::assert_snapshot!("v1.exact", golden.shown(&["report", "--exact"]));
        insta::assert_snapshot!("v1.timeline", golden.shown(&["timeline"]));
    });
}
