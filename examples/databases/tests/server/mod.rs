//! A PostgreSQL server of the test's own: a cluster in a temporary folder, reached by a socket
//! there.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::skip::skip;

/// The server; it stops when it is dropped.
pub struct Server {
    folder: tempfile::TempDir,
    programs: PathBuf,
}

impl Server {
    /// `None`, and a word about it, if PostgreSQL is not installed.
    pub fn start() -> Option<Server> {
        Server::start_with("")
    }

    /// With more options of the server.
    pub fn start_with(more: &str) -> Option<Server> {
        let Some(programs) = programs() else {
            skip("all of PostgreSQL: not installed (apt-get install postgresql)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        if is_root() {
            // The server refuses to be root; all that it needs of the folder is its own.
            std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
        }
        let server = Server { folder, programs };
        let data = server.path("data");
        server.run(
            "initdb",
            &["-D", &data, "-U", "tester", "-A", "trust", "--no-sync"],
        );
        let options = format!(
            "-k {} -c listen_addresses= -c fsync=off {more}",
            server.folder.path().display()
        );
        let log = server.path("log");
        server.run(
            "pg_ctl",
            &[
                "start", "-w", "-t", "120", "-D", &data, "-l", &log, "-o", &options,
            ],
        );
        Some(server)
    }

    /// Where the server is, for all three libraries.
    pub fn url(&self) -> String {
        let folder = self.folder.path().display().to_string();
        format!("postgres://tester@{}/postgres", folder.replace('/', "%2F"))
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = self.output(program, arguments);
        let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        assert!(output.status.success(), "{program}: {output:?}\n{log}");
    }

    fn output(&self, program: &str, arguments: &[&str]) -> Output {
        let program = self.programs.join(program);
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.path("data");
        self.output("pg_ctl", &["stop", "-m", "immediate", "-D", &data]);
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

/// The folder with `initdb` and `pg_ctl`: Debian keeps one for each version, and links `psql`
/// alone.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut folders: Vec<PathBuf> = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .collect();
    folders.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    let has_both = |folder: &&PathBuf| {
        ["initdb", "pg_ctl"]
            .iter()
            .all(|program| is_file(&folder.join(program)))
    };
    folders.iter().rev().find(has_both).cloned()
}

fn is_file(path: &Path) -> bool {
    path.is_file()
}
