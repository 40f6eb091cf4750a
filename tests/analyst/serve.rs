//! Profiles served as a Go program would, and pushed as Pyroscope takes them: the same totals as
//! the report.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::built;
use crate::built::{MEMPROF, text};
use crate::leak::{leak, totals};
use crate::pprof;
use memprof::serve::Server;
use memprof::source::Places;

/// What a server said: its status line and headers, and its body.
fn get(address: SocketAddr, request: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n");
    let body = answer.split_off(end.expect("headers") + 4);
    (text(&answer), body)
}

fn asked(path: &str, host: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

#[test]
fn what_is_served_again_is_not_looked_up_again() {
    // The program, in another folder than it was recorded in.
    let profile = leak().profile();
    let (read, _) = memprof::profile::read(&profile).unwrap();
    let program = read.modules[0].path.clone();
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join(program.file_name().unwrap());
    fs::copy(&program, &copy).unwrap();
    let map = format!(
        "{}={}",
        program.parent().unwrap().display(),
        elsewhere.path().display()
    );
    let places = Places {
        maps: vec![map.parse().unwrap()],
        ..Places::default()
    };
    let knows_names = |address: SocketAddr| {
        let (head, body) = get(address, &asked("/debug/pprof/heap", &address.to_string()));
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let names = pprof::decode(&body).string_table;
        names.iter().any(|name| name == "leak::serve")
    };
    let start = || {
        let files = vec![profile.clone()];
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), files, places.clone()).unwrap();
        let address = server.address();
        thread::spawn(move || server.run());
        address
    };
    let first = start();
    assert!(knows_names(first));
    fs::remove_file(&copy).unwrap();
    assert!(knows_names(first), "what was looked up is kept");
    assert!(!knows_names(start()), "who comes later finds no program");
}

#[test]
fn live_profiles_are_served_as_a_go_program_would() {
    let loopback = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(loopback, vec![leak().profile()], Places::default()).unwrap();
    let address = server.address();
    thread::spawn(move || server.run());
    let host = address.to_string();

    for (kind, value) in [("heap", "inuse_space"), ("allocs", "alloc_space")] {
        let path = format!("/debug/pprof/{kind}?debug=0");
        let (head, body) = get(address, &asked(&path, &host));
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let profile = pprof::decode(&body);
        let string = |index: i64| profile.string_table[index as usize].as_str();
        assert_eq!(string(profile.default_sample_type), value);
        let total = |index: usize| -> i64 { profile.sample.iter().map(|s| s.value[index]).sum() };
        assert_eq!([1, 3, 5].map(total), totals());
    }
    // A program that has ended does nothing more.
    let (head, body) = get(address, &asked("/debug/pprof/allocs?seconds=1", &host));
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let change = pprof::decode(&body);
    assert!(
        change
            .sample
            .iter()
            .all(|s| s.value.iter().all(|&value| value == 0))
    );
    let (head, body) = get(address, &asked("/", "localhost:6060"));
    assert!(head.contains("nosniff"), "{head}");
    assert!(text(&body).contains("/debug/pprof/heap"), "{}", text(&body));
    let status = |request: &str| {
        get(address, request)
            .0
            .split(' ')
            .nth(1)
            .unwrap()
            .to_owned()
    };
    assert_eq!(status(&asked("/debug/pprof/profile", &host)), "404");
    assert_eq!(
        status(&asked("/debug/pprof/heap?seconds=soon", &host)),
        "400"
    );
    assert_eq!(status(&asked("/../../etc/passwd", &host)), "404");
    assert_eq!(status(&asked("/2/debug/pprof/heap", &host)), "404");
    // A page that names this machine by a name of its own.
    assert_eq!(status(&asked("/debug/pprof/heap", "evil.example")), "403");
    assert_eq!(
        status(&asked(&format!("/{}", "x".repeat(2000)), &host)),
        "414"
    );
    let post = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(status(&post), "405");
}

/// Asked for the change in a second of a program that answers some 100 requests in it.
#[test]
fn a_difference_is_what_was_allocated_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("x.memprof");
    let mut program = Command::new(MEMPROF)
        .args(["run", "--sample", "all", "-o"])
        .arg(&profile)
        .arg("--")
        .arg(built::example("notes"))
        .args(["30", "100"])
        .spawn()
        .unwrap();
    while memprof::profile::read(&profile).is_err() {
        thread::sleep(Duration::from_millis(20));
    }
    // By then the table of 9 MiB stands.
    thread::sleep(Duration::from_millis(1500));
    let loopback = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(loopback, vec![profile], Places::default()).unwrap();
    let address = server.address();
    thread::spawn(move || server.run());
    let host = address.to_string();
    let waiting = thread::spawn(move || {
        get(
            address,
            &asked("/debug/pprof/allocs?seconds=1", &address.to_string()),
        )
    });
    // Others are answered meanwhile.
    let (_, whole) = get(address, &asked("/debug/pprof/allocs", &host));
    assert!(!waiting.is_finished());
    let (head, change) = waiting.join().unwrap();
    program.kill().unwrap();
    program.wait().unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let of = |body: &[u8], function: &str| -> i64 {
        let profile = pprof::decode(body);
        let samples = profile.sample.iter();
        samples
            .filter(|sample| pprof::functions(&profile, sample).contains(&function))
            .map(|sample| sample.value[1])
            .sum()
    };
    assert!(of(&whole, "notes::Server::start") > 9 << 20);
    assert_eq!(of(&change, "notes::Server::start"), 0);
    // 2 notes of 256 bytes a request.
    let notes = of(&change, "notes::note") / 512;
    assert!((20..=200).contains(&notes), "{notes}");
}

#[test]
fn a_profile_is_pushed_as_pyroscope_takes_it() {
    let store = tiny_http::Server::http("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", store.server_addr().to_ip().unwrap());
    let push = |to: &str| {
        (Command::new(MEMPROF).args(["push", "--to", to, "--label", "env=te,st"]))
            .arg(leak().profile())
            .output()
            .unwrap()
    };
    let requests = thread::spawn(move || {
        let mut seen = Vec::new();
        for status in [200, 422] {
            let mut request = store.recv().unwrap();
            let mut body = Vec::new();
            request.as_reader().read_to_end(&mut body).unwrap();
            seen.push((request.method().to_string(), request.url().to_owned(), body));
            let response = tiny_http::Response::from_string("no room").with_status_code(status);
            request.respond(response).unwrap();
        }
        seen
    });
    let output = push(&url);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = push(&url);
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(error.contains("status 422: no room"), "{error}");

    let seen = requests.join().unwrap();
    let (method, url, body) = &seen[0];
    assert_eq!(method, "POST");
    assert!(
        url.starts_with("/ingest?name=leak%7Benv%3Dte_st%7D&from="),
        "{url}"
    );
    assert!(url.contains("&format=pprof"), "{url}");
    let shown = text(body);
    assert!(shown.contains("name=\"sample_type_config\""), "{shown}");
    let zipped = body
        .windows(2)
        .position(|part| part == [0x1f, 0x8b])
        .expect("gzip");
    // What follows the gzip is not its business.
    let profile = pprof::decode(&body[zipped..]);
    let total: i64 = profile.sample.iter().map(|sample| sample.value[3]).sum();
    assert_eq!(total, totals()[1]);

    let error = |to: &str| text(&push(to).stderr);
    // Spoken with TLS: nobody is there.
    assert!(error("https://127.0.0.1:9").contains("is the store running"));
    assert!(error("example.org").contains("is no address"));
    assert!(error("http://127.0.0.1:9").contains("is the store running"));
}
