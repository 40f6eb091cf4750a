//! The source as it was in a revision of git, in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::source::{PathMap, Places};

/// A checked-out revision; the folder goes with it.
pub struct Revision {
    folder: TempDir,
    repository: PathBuf,
    current_dir: PathBuf,
}

impl Revision {
    /// The files of revision `name` of the repository around `current_dir`.
    pub fn check_out(name: &str, current_dir: &Path) -> anyhow::Result<Revision> {
        // It would be taken for an option.
        ensure!(!name.starts_with('-'), "`{name}` is no revision of git");
        let git = || {
            let mut git = Command::new("git");
            git.arg("-C").arg(current_dir).stdin(Stdio::null());
            git
        };
        let output = (git().args(["rev-parse", "--show-toplevel"]).output())
            .context("cannot run git; give the old source with --base-path-map FROM=TO")?;
        if !output.status.success() {
            bail!(
                "{} is in no git repository; give the old source with --base-path-map FROM=TO",
                current_dir.display()
            );
        }
        let repository = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end());
        let folder = tempfile::tempdir().context("cannot make a folder for the old source")?;
        let mut archive = (git().arg("-C").arg(&repository))
            .args(["archive", "--format=tar", name])
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run git")?;
        let tar = archive.stdout.take().context("git has no output")?;
        let unpacked = (Command::new("tar").arg("-xC").arg(folder.path()))
            .stdin(tar)
            .status()
            .context("cannot run tar")?;
        let archived = archive.wait().context("git does not end")?;
        ensure!(
            archived.success() && unpacked.success(),
            "git has no revision `{name}` here; `git log --oneline` lists them"
        );
        Ok(Revision {
            folder,
            repository,
            current_dir: current_dir.to_owned(),
        })
    }

    /// Where the source of that revision is, shown as the present one would be. What `maps` lead to
    /// in the repository is in the revision's folder.
    pub fn places(&self, maps: &[PathMap]) -> Places {
        let to = self.folder.path().to_owned();
        let below = self.current_dir.strip_prefix(&self.repository);
        let own = PathMap {
            from: self.repository.clone(),
            to: to.clone(),
        };
        let in_revision = |map: &PathMap| {
            let present = self.current_dir.join(&map.to);
            let present = present.canonicalize().unwrap_or(present);
            let below = present.strip_prefix(&self.repository).ok()?;
            Some(PathMap {
                from: map.from.clone(),
                to: to.join(below),
            })
        };
        let maps = maps
            .iter()
            .map(|map| in_revision(map).unwrap_or(map.clone()));
        Places {
            current_dir: to.join(below.unwrap_or(Path::new(""))),
            // The program is elsewhere.
            package: Some(to.clone()),
            root: None,
            maps: maps.chain([own]).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::source::Sources;

    #[test]
    fn an_old_source_is_read_and_shown_under_its_present_name() {
        let folder = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
            (Command::new("git").current_dir(folder.path()))
                .args(identity)
                .args(["-c", "commit.gpgsign=false"])
                .args(arguments)
                .stdout(Stdio::null())
                .status()
                .expect("git, which this test needs")
                .success()
        };
        assert!(git(&["init", "-q"]));
        let crate_dir = folder.path().join("app");
        let main = crate_dir.join("src/main.rs");
        fs::create_dir_all(main.parent().unwrap()).unwrap();
        fs::write(&main, "fn old() {}\n").unwrap();
        assert!(git(&["add", "."]));
        assert!(git(&["commit", "-qm", "one"]));
        fs::write(&main, "// new\nfn new() {}\n").unwrap();

        let revision = Revision::check_out("HEAD", &crate_dir).unwrap();
        let source = Sources::new(revision.places(&[])).get(main.to_str().unwrap());
        assert_eq!(source.shown, "src/main.rs");
        let text = source.text.as_ref().unwrap();
        assert_eq!(text.lines, ["fn old() {}"]);
        // Built elsewhere, and said where that is here.
        let map = PathMap {
            from: "/builds/ci".into(),
            to: "..".into(),
        };
        let source = Sources::new(revision.places(&[map])).get("/builds/ci/app/src/main.rs");
        assert_eq!(source.text.as_ref().unwrap().lines, ["fn old() {}"]);

        let error = |name| match Revision::check_out(name, &crate_dir) {
            Ok(_) => panic!("{name} was found"),
            Err(error) => error.to_string(),
        };
        assert!(error("nowhere").contains("`git log --oneline` lists them"));
        assert!(error("--output=x").contains("is no revision"));
    }
}
