//! Debug files from the servers of `DEBUGINFOD_URLS`, kept as elfutils keeps them.
//!
//! ```text
//! GET https://debuginfod.debian.net/buildid/1a2b3c…/debuginfo
//!
//! ~/.cache/debuginfod_client/1a2b3c…/debuginfo     the file; empty: no server had it a while ago
//! ```
//! So gdb finds what memprof has fetched, and memprof what gdb has. A file is believed if it is
//! whole and says the build-id that it was asked for by. Sources are not fetched.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;
use thiserror::Error;

use crate::defect::Defect;
use crate::http;
use crate::symbolize::{Fetch, check_debug_file};
use crate::units::ByteSize;

/// Seconds that a server may send less than [`LEAST`] in, unless `DEBUGINFOD_TIMEOUT` says others:
/// as elfutils has it.
const PATIENCE: u64 = 90;
/// What a server has to send in that time. *Bytes.*
const LEAST: u64 = 100 << 10;
/// For so long a file that no server had is not asked for again: as elfutils has it.
const MISSED: Duration = Duration::from_secs(600);

/// The servers, and what they have answered so far.
pub struct Debuginfod {
    servers: Vec<String>,
    /// `None` if there is no folder to keep files in.
    cache: Option<PathBuf>,
    patience: Duration,
    /// Gets a line for each server that is asked, and for each file that is fetched.
    tell: fn(&str),
    answers: Mutex<Answers>,
}

#[derive(Default)]
struct Answers {
    /// What is known of each build-id.
    known: HashMap<Vec<u8>, Option<PathBuf>>,
    asked: BTreeSet<usize>,
    /// Servers that do not answer: each is waited for once.
    given_up: BTreeSet<usize>,
    /// Whether it was said that there is no folder.
    is_said: bool,
    defects: Vec<Defect>,
}

/// Why a server, or the folder, gave no file.
#[derive(Debug, Error)]
enum Trouble {
    /// The server has no such file, which is no fault.
    #[error("it has no such file")]
    Absent,
    #[error("it is no address of HTTP; write it as https://debuginfod.example.org")]
    NoAddress,
    #[error(
        "this memprof was built without TLS; build it with the feature `tls`, or name a server of plain HTTP"
    )]
    NoTls,
    #[error("{0}; take it out of DEBUGINFOD_URLS if it is gone")]
    Unreachable(String),
    #[error(
        "it sent less than {least} in {patience} s; DEBUGINFOD_TIMEOUT=SECONDS gives it longer",
        least = ByteSize(LEAST)
    )]
    Slow { patience: u64 },
    #[error("it answered with status {0}; try again later, or take it out of DEBUGINFOD_URLS")]
    Status(u16),
    #[error("what it sent ends early ({0}); try again")]
    CutOff(String),
    #[error("what it sent for {module} is not used: {reason}; tell who runs it")]
    Wrong { module: String, reason: String },
    #[error(
        "cannot keep it in {}: {error}; DEBUGINFOD_CACHE_PATH names another folder", folder.display()
    )]
    Cache { folder: PathBuf, error: io::Error },
}

impl Debuginfod {
    /// As the environment says; `None` if it names no servers.
    pub fn of_environment(
        variable: impl Fn(&str) -> Option<OsString>,
        tell: fn(&str),
    ) -> Option<Debuginfod> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let urls = set("DEBUGINFOD_URLS")?;
        let urls = urls.to_string_lossy();
        // Words such as `ima:enforcing` are for elfutils alone.
        let urls = (urls.split_whitespace()).filter(|word| !word.starts_with("ima:"));
        let servers: Vec<String> = urls
            .map(|url| url.trim_end_matches('/').to_owned())
            .collect();
        let folder = |name: &str| set(name).map(PathBuf::from);
        let cache = folder("DEBUGINFOD_CACHE_PATH").or_else(|| {
            let caches =
                folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
            caches.map(|caches| caches.join("debuginfod_client"))
        });
        let seconds = set("DEBUGINFOD_TIMEOUT").and_then(|text| text.to_str()?.parse().ok());
        (!servers.is_empty()).then_some(Debuginfod {
            servers,
            cache,
            patience: Duration::from_secs(seconds.filter(|&s| s != 0).unwrap_or(PATIENCE)),
            tell,
            answers: Mutex::default(),
        })
    }

    /// What went wrong since they were last taken.
    pub fn take_defects(&self) -> Vec<Defect> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        mem::take(&mut answers.defects)
    }
}

impl Fetch for Debuginfod {
    fn debug_file(&self, build_id: &[u8], module: &Path) -> Option<PathBuf> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = answers.known.get(build_id) {
            return known.clone();
        }
        let found = self.find(&mut answers, build_id, module);
        answers.known.insert(build_id.to_owned(), found.clone());
        found
    }
}

impl Debuginfod {
    /// From the folder, or from the first server that has it.
    fn find(&self, answers: &mut Answers, build_id: &[u8], module: &Path) -> Option<PathBuf> {
        let hex: String = build_id.iter().map(|byte| format!("{byte:02x}")).collect();
        let Some(cache) = &self.cache else {
            if !mem::replace(&mut answers.is_said, true) {
                answers.defects.push(Defect::DebugFilesNotKept);
            }
            return None;
        };
        let kept = cache.join(&hex).join("debuginfo");
        match Kept::of(&kept, build_id) {
            Kept::Here => return Some(kept),
            Kept::Missed => return None,
            Kept::Nothing => {}
        }
        let mut is_absent = true;
        for (number, server) in self.servers.iter().enumerate() {
            if answers.given_up.contains(&number) {
                is_absent = false;
                continue;
            }
            if answers.asked.insert(number) {
                (self.tell)(&format!("asking {server} for debug files"));
            }
            let url = format!("{server}/buildid/{hex}/debuginfo");
            match self.fetch(&url, build_id, module, &kept) {
                Ok(()) => return Some(kept),
                Err(Trouble::Absent) => {}
                Err(trouble) => {
                    is_absent = false;
                    match trouble {
                        Trouble::Absent | Trouble::CutOff(_) | Trouble::Wrong { .. } => {}
                        Trouble::Cache { .. } => answers.given_up.extend(0..self.servers.len()),
                        // It will do no better with the next file.
                        _ => {
                            answers.given_up.insert(number);
                        }
                    }
                    answers.defects.push(Defect::DebugFileNotFetched {
                        server: server.clone(),
                        reason: trouble.to_string(),
                    });
                }
            }
        }
        if is_absent {
            // Where nothing can be written, the next run asks again.
            let _ = kept.parent().map(fs::create_dir_all);
            let _ = File::create(&kept);
        }
        None
    }

    fn fetch(&self, url: &str, id: &[u8], module: &Path, kept: &Path) -> Result<(), Trouble> {
        let mut response = self.ask(url)?;
        let module = (module.file_name().unwrap_or_default()).to_string_lossy();
        let body = response.body_mut();
        let len = body.content_length();
        let len = len.map_or(String::new(), |len| format!(" ({})", ByteSize(len)));
        (self.tell)(&format!("fetching debug file of {module}{len} from {url}"));

        let folder = kept.parent().unwrap_or(kept);
        let in_cache = |error| Trouble::Cache {
            folder: folder.to_owned(),
            error,
        };
        fs::create_dir_all(folder).map_err(in_cache)?;
        // Whoever looks into the folder finds the file whole, or not at all.
        let mut file = NamedTempFile::new_in(folder).map_err(in_cache)?;
        self.copy(body.as_reader(), |part| {
            file.write_all(part).map_err(in_cache)
        })?;
        check_debug_file(file.path(), id).map_err(|reason| Trouble::Wrong {
            module: module.into_owned(),
            reason,
        })?;
        file.persist(kept).map_err(|error| in_cache(error.error))?;
        Ok(())
    }

    fn ask(&self, url: &str) -> Result<ureq::http::Response<ureq::Body>, Trouble> {
        let is_tls = url.starts_with("https://");
        if is_tls && !http::HAS_TLS {
            return Err(Trouble::NoTls);
        }
        if !is_tls && !url.starts_with("http://") {
            return Err(Trouble::NoAddress);
        }
        let config = http::settings()
            .timeout_resolve(Some(self.patience))
            .timeout_connect(Some(self.patience))
            .timeout_recv_response(Some(self.patience))
            .timeout_per_read(Some(self.patience))
            .build();
        let response = ureq::Agent::new_with_config(config).get(url).call();
        let response = response.map_err(|error| match error {
            ureq::Error::Timeout(_) => self.slow(),
            error => Trouble::Unreachable(error.to_string()),
        })?;
        match response.status().as_u16() {
            200 => Ok(response),
            404 => Err(Trouble::Absent),
            status => Err(Trouble::Status(status)),
        }
    }

    /// Gives the body to `write`, part by part, as long as the server sends enough of it.
    fn copy(
        &self,
        mut body: impl Read,
        mut write: impl FnMut(&[u8]) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let mut part = vec![0; 64 << 10];
        let (mut since, mut sent) = (Instant::now(), 0);
        loop {
            let len = body.read(&mut part).map_err(|error| {
                let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
                match inner {
                    Some(ureq::Error::Timeout(_)) => self.slow(),
                    _ => Trouble::CutOff(error.to_string()),
                }
            })?;
            if len == 0 {
                return Ok(());
            }
            write(&part[..len])?;
            sent += len as u64;
            if since.elapsed() >= self.patience {
                if sent < LEAST {
                    return Err(self.slow());
                }
                (since, sent) = (Instant::now(), 0);
            }
        }
    }

    fn slow(&self) -> Trouble {
        Trouble::Slow {
            patience: self.patience.as_secs(),
        }
    }
}

/// What the folder says of a build-id.
enum Kept {
    Here,
    /// No server had it, a short while ago.
    Missed,
    Nothing,
}

impl Kept {
    /// What is there and is not the file is taken away.
    fn of(path: &Path, build_id: &[u8]) -> Kept {
        let Ok(metadata) = fs::metadata(path) else {
            return Kept::Nothing;
        };
        let age = (metadata.modified().ok()).and_then(|time| time.elapsed().ok());
        if metadata.len() == 0 && age.is_some_and(|age| age < MISSED) {
            return Kept::Missed;
        }
        if check_debug_file(path, build_id).is_ok() {
            return Kept::Here;
        }
        let _ = fs::remove_file(path);
        Kept::Nothing
    }
}
