//! Debug files of servers: a program without debug information, and small servers that have it, or
//! do otherwise.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use object::Object;
use tempfile::TempDir;

use crate::built;
use crate::skip::skip;

const SOURCE: &str = "#include <stdlib.h>
#include <string.h>
char *kept;
int main(void) {
    kept = malloc(123456);
    memset(kept, 1, 123456);
    return 0;
}
";
/// What a report shows that knows the lines.
const LINE: &str = "kept = malloc(123456);";

/// A recorded program without debug information, which `app.debug` has.
struct Place {
    folder: TempDir,
    build_id: String,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let place = Place {
            build_id: String::new(),
            folder,
        };
        fs::write(place.path("app.c"), SOURCE).unwrap();
        let flags = ["-g", "-O0", "-fno-builtin", "-Wl,--build-id=sha1"];
        place.runs("cc", &[&flags[..], &["app.c", "-o", "app"]].concat());
        place.runs("objcopy", &["--only-keep-debug", "app", "app.debug"]);
        place.runs("strip", &["app"]);
        let build_id = build_id(&place.path("app"));
        place.record();
        Place { build_id, ..place }
    }

    fn record(&self) {
        let run = Command::new(built::MEMPROF)
            .args(["run", "--sample", "all", "--output", "app.memprof"])
            .args(["--", "./app"])
            .current_dir(&self.folder)
            .env("XDG_CACHE_HOME", self.path("xdg"))
            .output()
            .unwrap();
        assert!(run.status.success(), "{run:?}");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn runs(&self, tool: &str, arguments: &[&str]) {
        let mut command = Command::new(tool);
        let output = command.args(arguments).current_dir(&self.folder).output();
        let output = output.unwrap_or_else(|error| panic!("{tool}: {error}"));
        assert!(output.status.success(), "{tool}: {output:?}");
    }

    fn debug_file(&self) -> Vec<u8> {
        fs::read(self.path("app.debug")).unwrap()
    }

    fn kept(&self) -> PathBuf {
        let folder = self.path("xdg/debuginfod_client").join(&self.build_id);
        folder.join("debuginfo")
    }

    /// What `memprof report` shows, and what it says on stderr.
    fn report(&self, urls: &str) -> (String, String) {
        self.report_with(urls, &[("DEBUGINFOD_TIMEOUT", "1")])
    }

    fn report_with(&self, urls: &str, variables: &[(&str, &str)]) -> (String, String) {
        // The file that the servers have is not to be found here.
        let moved = tempfile::tempdir().unwrap();
        let hidden = moved.path().join("app.debug");
        let had = fs::rename(self.path("app.debug"), &hidden).is_ok();
        let output = Command::new(built::MEMPROF)
            .args(["report", "app.memprof"])
            .current_dir(&self.folder)
            .env("XDG_CACHE_HOME", self.path("xdg"))
            .env_remove("DEBUGINFOD_CACHE_PATH")
            .env("DEBUGINFOD_URLS", urls)
            .env("no_proxy", "127.0.0.1")
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        if had {
            fs::rename(&hidden, self.path("app.debug")).unwrap();
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{}", text(&output.stderr));
        (text(&output.stdout), text(&output.stderr))
    }
}

fn build_id(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let object = object::File::parse(&*bytes).unwrap();
    let id = object.build_id().unwrap().unwrap();
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a server does with a connection, of which it has read the request for that path.
type Answer = Box<dyn Fn(&mut TcpStream, &str) + Send>;

struct Server {
    url: String,
    /// The paths that were asked for.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(answer: Answer) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let first = lines.next().unwrap().unwrap();
                while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
                let path = first.split(' ').nth(1).unwrap().to_owned();
                noted.lock().unwrap().push(path.clone());
                answer(&mut stream, &path);
            }
        });
        Server { url, asked }
    }

    /// Has `body` under that path, and nothing else.
    fn with(build_id: &str, body: Vec<u8>) -> Server {
        let only = format!("/buildid/{build_id}/debuginfo");
        Server::new(Box::new(move |stream, path| match path == only {
            true => send(stream, &body, body.len()),
            false => absent(stream),
        }))
    }

    fn without() -> Server {
        Server::new(Box::new(|stream, _| absent(stream)))
    }

    /// How often the file of that build-id was asked for.
    fn times(&self, build_id: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|path| path.contains(build_id)).count()
    }
}

fn send(stream: &mut TcpStream, body: &[u8], len: usize) {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body);
}

fn absent(stream: &mut TcpStream) {
    let head = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let _ = stream.write_all(head.as_bytes());
}

#[test]
fn a_debug_file_is_fetched_once_and_kept_as_elfutils_does() {
    let place = Place::new();
    let (shown, _) = place.report("");
    assert!(!shown.contains(LINE), "without: {shown}");
    let server = Server::with(&place.build_id, place.debug_file());
    let (shown, said) = place.report(&server.url);
    assert!(shown.contains(LINE), "{shown}{said}");
    let url = format!("{}/buildid/{}/debuginfo", server.url, place.build_id);
    assert!(
        said.contains("memprof: fetching debug file of app ("),
        "{said}"
    );
    assert!(said.contains(&format!("from {url}")), "{said}");
    assert_eq!(fs::read(place.kept()).unwrap(), place.debug_file());

    let (shown, said) = place.report(&server.url);
    assert!(shown.contains(LINE) && !said.contains("fetching"), "{said}");
    assert_eq!(server.times(&place.build_id), 1);

    // Somebody else's file in its place is not believed.
    fs::write(place.kept(), "no object file").unwrap();
    assert!(place.report(&server.url).0.contains(LINE));
    assert_eq!(server.times(&place.build_id), 2);
}

#[test]
fn what_no_server_has_is_not_asked_for_again_for_a_while() {
    let place = Place::new();
    let server = Server::without();
    let (shown, said) = place.report(&server.url);
    assert!(
        !shown.contains(LINE) && !said.contains("fetching"),
        "{said}"
    );
    assert!(
        said.contains(&format!("memprof: asking {} for", server.url)),
        "{said}"
    );
    assert!(!said.contains("no debug file from"), "{said}");
    assert_eq!(server.times(&place.build_id), 1);
    assert_eq!(fs::metadata(place.kept()).unwrap().len(), 0);
    place.report(&server.url);
    assert_eq!(server.times(&place.build_id), 1);

    let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
    let file = fs::File::options().write(true).open(place.kept()).unwrap();
    file.set_modified(long_ago).unwrap();
    place.report(&server.url);
    assert_eq!(server.times(&place.build_id), 2);
}

#[test]
fn the_second_server_is_asked_for_what_the_first_has_not() {
    let place = Place::new();
    let first = Server::without();
    let second = Server::with(&place.build_id, place.debug_file());
    // elfutils' word for signatures is no server.
    let (shown, _) = place.report(&format!("ima:enforcing {}/ {}", first.url, second.url));
    assert!(shown.contains(LINE), "{shown}");
    assert_eq!(
        (first.times(&place.build_id), second.times(&place.build_id)),
        (1, 1)
    );
}

#[test]
fn a_file_that_is_another_or_ends_early_is_refused_and_the_next_server_asked() {
    let place = Place::new();
    place.runs(
        "cc",
        &[
            "-g",
            "-Wl,--build-id=0x0102030405060708",
            "app.c",
            "-o",
            "other",
        ],
    );
    let other = fs::read(place.path("other")).unwrap();
    let debug_file = place.debug_file();
    let half = debug_file[..debug_file.len() / 2].to_vec();
    let promised = debug_file.len();
    let breaks_off = half.clone();
    let cases = [
        (
            Server::with(&place.build_id, other),
            "it is of another build (build-id 0102030405060708, asked for ",
        ),
        (
            Server::with(&place.build_id, half),
            "it is no whole object file",
        ),
        (
            Server::new(Box::new(move |stream, _| {
                send(stream, &breaks_off, promised)
            })),
            "ends early",
        ),
        (
            Server::new(Box::new(|stream, _| {
                let _ = stream.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
            })),
            "it answered with status 503; try again later",
        ),
    ];
    for (server, reason) in cases {
        let (shown, said) = place.report(&server.url);
        let line = format!("no debug file from {}: ", server.url);
        let of_it = |text: &str| (text.lines()).any(|l| l.contains(&line) && l.contains(reason));
        assert!(of_it(&shown) || of_it(&said), "{reason}: {shown}{said}");
        assert!(!shown.contains(LINE) && !place.kept().exists(), "{reason}");
        let right = Server::with(&place.build_id, place.debug_file());
        let (shown, _) = place.report(&format!("{} {}", server.url, right.url));
        assert!(shown.contains(LINE), "{reason}: {shown}");
        fs::remove_file(place.kept()).unwrap();
    }
}

#[test]
fn a_server_that_does_not_answer_is_waited_for_once() {
    let place = Place::new();
    let cases: [Answer; 3] = [
        // Says nothing at all.
        Box::new(|stream, _| {
            let held = stream.try_clone().unwrap();
            thread::spawn(move || {
                thread::sleep(Duration::from_secs(20));
                drop(held);
            });
        }),
        // Stops in the middle.
        Box::new(|stream, _| {
            send(stream, &[0; 1000], 1_000_000);
            let held = stream.try_clone().unwrap();
            thread::spawn(move || {
                thread::sleep(Duration::from_secs(20));
                drop(held);
            });
        }),
        // Never stops, but is too slow.
        Box::new(|stream, _| {
            send(stream, &[0; 1000], 1_000_000);
            while stream.write_all(&[0; 100]).is_ok() {
                thread::sleep(Duration::from_millis(50));
            }
        }),
    ];
    for answer in cases {
        let server = Server::new(answer);
        let started = Instant::now();
        let (shown, said) = place.report(&server.url);
        assert!(started.elapsed() < Duration::from_secs(15));
        let line = format!(
            "no debug file from {}: it sent less than 100.0 KiB in 1 s",
            server.url
        );
        let said = format!("{shown}{said}");
        assert_eq!(said.matches(&line).count(), 1, "{said}");
        assert_eq!(server.asked.lock().unwrap().len(), 1, "{said}");
        assert!(!place.kept().exists());
    }
    let (shown, said) = place.report("http://127.0.0.1:1 ftp://127.0.0.1 file:///tmp");
    let said = format!("{shown}{said}");
    assert!(
        said.contains("no debug file from http://127.0.0.1:1: "),
        "{said}"
    );
    assert!(
        said.contains("ftp://127.0.0.1: it is no address of HTTP"),
        "{said}"
    );
}

#[test]
fn lines_come_from_the_debug_file_where_the_program_is_gone_or_another() {
    let place = Place::new();
    let server = Server::with(&place.build_id, place.debug_file());
    fs::remove_file(place.path("app")).unwrap();
    let (shown, said) = place.report(&server.url);
    assert!(shown.contains(LINE), "{shown}{said}");
    fs::copy("/bin/true", place.path("app")).unwrap();
    let (shown, said) = place.report(&server.url);
    assert!(shown.contains(LINE), "{shown}{said}");
}

#[test]
fn where_files_cannot_be_kept_it_is_said() {
    let place = Place::new();
    let server = Server::with(&place.build_id, place.debug_file());
    fs::write(place.path("plain"), "").unwrap();
    let cache = place.path("plain").join("cache");
    let cache = [("DEBUGINFOD_CACHE_PATH", cache.to_str().unwrap())];
    let (shown, said) = place.report_with(&server.url, &cache);
    let said = format!("{shown}{said}");
    assert!(
        said.contains("DEBUGINFOD_CACHE_PATH names another folder"),
        "{said}"
    );
    let elsewhere = place.path("elsewhere");
    let cache = [("DEBUGINFOD_CACHE_PATH", elsewhere.to_str().unwrap())];
    assert!(place.report_with(&server.url, &cache).0.contains(LINE));
    assert!(elsewhere.join(&place.build_id).join("debuginfo").is_file());
}

#[test]
fn what_dwz_moved_out_is_fetched_too() {
    let place = Place::new();
    let have_dwz = Command::new("dwz").arg("--version").output().is_ok();
    if !have_dwz {
        return skip("debug files of dwz: no dwz (apt-get install dwz)");
    }
    // Two files whose types are worth sharing.
    let mut source = String::from(SOURCE);
    for number in 0..200 {
        source += &format!(
            "struct shared_{number} {{ int first_{number}; char *second_{number}; }} of_{number};\n"
        );
    }
    fs::write(place.path("app.c"), source).unwrap();
    for name in ["app", "more"] {
        let debug = format!("{name}.debug");
        let id = match name {
            "app" => "-Wl,--build-id=0xaa01",
            _ => "-Wl,--build-id=0xaa02",
        };
        place.runs(
            "cc",
            &["-g", "-O0", "-fno-builtin", id, "app.c", "-o", name],
        );
        place.runs("objcopy", &["--only-keep-debug", name, &debug]);
        place.runs("strip", &[name]);
    }
    place.runs(
        "dwz",
        &[
            "-m",
            "shared.debug",
            "-M",
            "/nowhere/shared.debug",
            "app.debug",
            "more.debug",
        ],
    );
    fs::remove_file(place.path("app.memprof")).unwrap();
    place.record();
    let shared = build_id(&place.path("shared.debug"));
    let files = [
        (build_id(&place.path("app")), place.debug_file()),
        (
            shared.clone(),
            fs::read(place.path("shared.debug")).unwrap(),
        ),
    ];
    let server = Server::new(Box::new(move |stream, path| {
        match files.iter().find(|(id, _)| path.contains(id.as_str())) {
            Some((_, body)) => send(stream, body, body.len()),
            None => absent(stream),
        }
    }));
    let (shown, said) = place.report(&server.url);
    assert!(shown.contains(LINE), "{shown}{said}");
    assert_eq!(server.times(&shared), 1, "{said}");
}

/// `openssl s_server`, ended with the test.
struct Tls(Child);

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_server_of_https_is_believed_by_the_certificates_of_the_system() {
    if Command::new("openssl").arg("version").output().is_err() {
        return skip("servers of HTTPS: no openssl (apt-get install openssl)");
    }
    let place = Place::new();
    let key = ["-newkey", "rsa:2048", "-nodes", "-days", "2"];
    let authority = [
        "req", "-x509", "-subj", "/CN=test", "-keyout", "ca.key", "-out", "ca.pem",
    ];
    place.runs("openssl", &[&authority[..], &key].concat());
    let leaf = [
        "req",
        "-x509",
        "-subj",
        "/CN=localhost",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
    ];
    let says = [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=CA:FALSE",
    ];
    let to = ["-keyout", "leaf.key", "-out", "leaf.pem"];
    place.runs("openssl", &[&leaf[..], &says, &to, &key].concat());
    let folder = place.path("buildid").join(&place.build_id);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("debuginfo"), place.debug_file()).unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let server = Command::new("openssl")
        .args([
            "s_server", "-quiet", "-WWW", "-cert", "leaf.pem", "-key", "leaf.key",
        ])
        .args(["-accept", &port.to_string()])
        .current_dir(&place.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _server = Tls(server.unwrap());
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(started.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(20));
    }
    let url = format!("https://127.0.0.1:{port}");
    let report = |certificates: &str| {
        let variables = [
            ("DEBUGINFOD_TIMEOUT", "10"),
            ("SSL_CERT_FILE", certificates),
        ];
        place.report_with(&url, &variables)
    };
    let other = place.path("other.pem");
    let other_authority = [
        "req",
        "-x509",
        "-subj",
        "/CN=other",
        "-keyout",
        "other.key",
        "-out",
        "other.pem",
    ];
    place.runs("openssl", &[&other_authority[..], &key].concat());
    let (shown, said) = report(other.to_str().unwrap());
    assert!(!shown.contains(LINE), "an unknown authority: {said}");
    let (shown, said) = report(place.path("ca.pem").to_str().unwrap());
    assert!(shown.contains(LINE), "{shown}{said}");
}
