//! Answers over HTTP with the live profiles of running programs, in pprof's form, as a Go program
//! would.
//!
//! A profile's file is current at every moment, so each request reads it anew; the program itself
//! takes no part in it and needs no server. Requests are answered one after the other, but for
//! those of a difference, which wait; only `GET` and `HEAD`, and nothing that was sent is kept.
//! What is kept is names and lines: an address is looked up once in a recording.

use std::io::Cursor;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use thiserror::Error;
use tiny_http::{Header, Method, Request, Response};

use crate::export::Pprof;
use crate::profile;
use crate::report::{Calls, Metric};
use crate::source::{Places, Sources};
use crate::symbolize::{self, Symbolizer};

/// Longest time that a difference may be asked of, in seconds.
const MAX_SECONDS: u64 = 3600;
/// Most differences that are waited for at a time.
const MAX_WAITING: usize = 32;
/// Longest path of a request that is looked at.
const MAX_URL: usize = 1024;

/// The server cannot listen.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: {reason}; choose another with --listen 127.0.0.1:PORT")]
pub struct ListenError {
    address: SocketAddr,
    reason: String,
}

/// A server that listens already.
pub struct Server {
    http: tiny_http::Server,
    address: SocketAddr,
    files: Vec<File>,
    places: Places,
    waiting: AtomicUsize,
}

/// A profile that is served.
struct File {
    path: PathBuf,
    known: Mutex<Known>,
}

/// What earlier requests have looked up.
#[derive(Default)]
struct Known {
    /// Process and start of the recording that it is of.
    recording: (u32, u64),
    symbolizer: Symbolizer,
}

/// An answer: its status, its type and its body.
struct Answer {
    status: u16,
    kind: &'static str,
    body: Vec<u8>,
}

impl Server {
    /// Listens on `address`, for profiles in `files`. Port 0 takes any that is free.
    pub fn bind(
        address: SocketAddr,
        files: Vec<PathBuf>,
        places: Places,
    ) -> Result<Server, ListenError> {
        let http = tiny_http::Server::http(address).map_err(|error| ListenError {
            address,
            reason: error.to_string(),
        })?;
        let address = http.server_addr().to_ip().unwrap_or(address);
        Ok(Server {
            http,
            address,
            files: (files.into_iter())
                .map(|path| File {
                    path,
                    known: Mutex::default(),
                })
                .collect(),
            places,
            waiting: AtomicUsize::new(0),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests, for ever.
    pub fn run(&self) {
        thread::scope(|scope| {
            for request in self.http.incoming_requests() {
                if !request.url().contains("seconds=") {
                    self.respond(request);
                    continue;
                }
                // A request that waits keeps nobody else waiting.
                self.waiting.fetch_add(1, Ordering::Relaxed);
                scope.spawn(|| {
                    self.respond(request);
                    self.waiting.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
    }

    fn respond(&self, request: Request) {
        let answer = self.answer(&request);
        let header = |name: &str, value: &str| Header::from_bytes(name, value).ok();
        let headers = [
            header("Content-Type", answer.kind),
            header("X-Content-Type-Options", "nosniff"),
            header("Content-Security-Policy", "default-src 'none'"),
            header("Cache-Control", "no-store"),
        ];
        let len = answer.body.len();
        let headers = headers.into_iter().flatten().collect();
        let body = Cursor::new(answer.body);
        let response = Response::new(answer.status.into(), headers, body, Some(len), None);
        // One who went away does not hear it; the next does.
        let _ = request.respond(response);
    }

    fn answer(&self, request: &Request) -> Answer {
        if !matches!(request.method(), Method::Get | Method::Head) {
            return text(405, "only GET");
        }
        if !self.is_addressed(request) {
            return text(403, "this server answers to its own address only");
        }
        let url = request.url();
        if url.len() > MAX_URL {
            return text(414, "too long");
        }
        let path = url.split(['?', '#']).next().unwrap_or_default();
        if path == "/" {
            return text(200, &self.index());
        }
        let Some((file, what)) = self.target(path) else {
            return text(404, &format!("nothing here\n\n{}", self.index()));
        };
        let default = match what {
            "heap" => Metric::Live,
            "allocs" => Metric::Allocated,
            _ => return text(404, &format!("nothing here\n\n{}", self.index())),
        };
        let seconds = match seconds(url) {
            Ok(seconds) => seconds,
            Err(reason) => return text(400, &reason),
        };
        if seconds.is_some() && self.waiting.load(Ordering::Relaxed) > MAX_WAITING {
            return text(503, "too many differences are asked for at once");
        }
        match file.pprof(&self.places, default, seconds) {
            Ok(body) => Answer {
                status: 200,
                kind: "application/octet-stream",
                body,
            },
            Err(reason) => text(503, &reason),
        }
    }

    /// A page of another site may make a browser send requests here, but under that site's name.
    fn is_addressed(&self, request: &Request) -> bool {
        if !self.address.ip().is_loopback() {
            return true;
        }
        let hosts = request
            .headers()
            .iter()
            .filter(|header| header.field.equiv("Host"));
        let mut hosts = hosts.map(|header| header.value.as_str());
        hosts.all(|host| {
            let name = match host.rsplit_once(':') {
                Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
                _ => host,
            };
            let ip = name.trim_matches(['[', ']']).parse::<IpAddr>();
            name.eq_ignore_ascii_case("localhost") || ip.is_ok()
        })
    }

    /// The profile and the kind of it that `path` asks for: `/debug/pprof/KIND`, or
    /// `/N/debug/pprof/KIND`.
    fn target<'a>(&self, path: &'a str) -> Option<(&File, &'a str)> {
        let (before, what) = path.split_once("/debug/pprof/")?;
        let number = match before.strip_prefix('/') {
            None if before.is_empty() && self.files.len() == 1 => 1,
            None => return None,
            Some(number) => number.parse::<usize>().ok()?,
        };
        let file = self.files.get(number.checked_sub(1)?)?;
        Some((file, what))
    }

    fn index(&self) -> String {
        let mut page = "memprof: live heap profiles, in pprof's form\n\n".to_owned();
        for (index, file) in self.files.iter().enumerate() {
            let prefix = match self.files.len() {
                1 => String::new(),
                _ => format!("/{}", index + 1),
            };
            let name = crate::render::escape::escape(&file.path.to_string_lossy()).into_owned();
            page += &format!(
                "{name}\n  {prefix}/debug/pprof/heap    in use now\n  {prefix}/debug/pprof/allocs  allocated since the start\n"
            );
        }
        page
    }
}

/// The seconds that a difference is asked of, as in `/debug/pprof/heap?seconds=30`.
fn seconds(url: &str) -> Result<Option<Duration>, String> {
    let query = url.split('#').next().and_then(|url| url.split_once('?'));
    let mut values = query.into_iter().flat_map(|(_, query)| query.split('&'));
    let Some(text) = values.find_map(|value| value.strip_prefix("seconds=")) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(0) => Ok(None),
        Ok(seconds) if seconds <= MAX_SECONDS => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(format!("seconds: a whole number up to {MAX_SECONDS}")),
    }
}

fn text(status: u16, body: &str) -> Answer {
    Answer {
        status,
        kind: "text/plain; charset=utf-8",
        body: format!("{}\n", body.trim_end()).into_bytes(),
    }
}

impl File {
    /// The profile as it is now, or what changes in `seconds` from now; or why it cannot be had.
    fn pprof(
        &self,
        places: &Places,
        default: Metric,
        seconds: Option<Duration>,
    ) -> Result<Vec<u8>, String> {
        let read = || profile::read(&self.path).map_err(|error| error.to_string());
        let (mut profile, mut defects) = read()?;
        if let Some(seconds) = seconds {
            thread::sleep(seconds);
            let before = profile;
            (profile, defects) = read()?;
            if !profile.subtract(&before) {
                return Err("another program was recorded to this file meanwhile".to_owned());
            }
        }
        for module in &mut profile.modules {
            module.path = places.mapped(&module.path);
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let recording = (profile.header.pid, profile.header.started_unix_ns);
        if known.recording != recording {
            *known = Known {
                recording,
                symbolizer: Symbolizer::default(),
            };
        }
        let updated = (known.symbolizer).update(&profile, &symbolize::SymbolizeOptions::default());
        updated.map_err(|error| error.to_string())?;
        defects.extend(known.symbolizer.defects());
        // Source may be edited between two requests.
        let mut sources = Sources::new(places.clone());
        let calls = Calls::new(&profile, known.symbolizer.symbols(), &mut sources, defects);
        let mut body = Vec::new();
        let written = Pprof { default }.export(&calls.complete(), &mut body);
        written.map_err(|error| error.to_string())?;
        Ok(body)
    }
}
