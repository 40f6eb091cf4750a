//! Finding the profile, reading it again and again, and the terminal.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, bail};
use profiler_alloc_format::{EXTENSION, Header, MAGIC};
use ratatui::crossterm::event::{self, Event};
#[cfg(unix)]
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
#[cfg(unix)]
use signal_hook::iterator::Signals;

use super::LiveArgs;
use crate::command::load::Output;
use crate::command::many::{newest, profiles};
use crate::live::{Feed, FeedError, FeedOptions, Flow, Page, Process, draw};
use crate::profile::{self, HeapChoice, is_original};
use crate::render::LiveText;
use crate::report::Live;

/// How long a key or a signal may wait, at the most.
const TICK: Duration = Duration::from_millis(100);

pub fn run(args: LiveArgs) -> anyhow::Result<ExitCode> {
    let interactive =
        io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    if !args.once && !interactive {
        bail!(
            "`memprof live` draws on a terminal, and standard output is none; `memprof live --once` prints one reading"
        );
    }
    if args.lookup.heap == Some(HeapChoice::All) {
        bail!("this view shows one heap: name it");
    }
    let path = find(args.what.as_deref())?;
    // A profile that cannot be read yet is tried again later.
    let program = (profile::read(&path).ok())
        .and_then(|(profile, _)| Some(profile.modules.first()?.path.clone()));
    let options = FeedOptions {
        path,
        places: args
            .lookup
            .places()?
            .of_program(&program.unwrap_or_default()),
        force: args.lookup.force,
        own: args.lookup.own.patterns.clone(),
        contexts: args.lookup.contexts.clone(),
        heap: args.lookup.heap.clone().unwrap_or_default(),
    };
    if args.once {
        return once(Feed::new(options), &args);
    }
    show(options, &args)
}

/// The profile that is meant: the newest here, a file, or that of a process.
fn find(what: Option<&Path>) -> anyhow::Result<PathBuf> {
    let here = Path::new(".");
    let Some(what) = what else {
        return newest(here);
    };
    let pid: u32 = match what.to_str().map(str::parse) {
        Some(Ok(pid)) if !what.exists() => pid,
        _ => return Ok(what.to_owned()),
    };
    let there = PathBuf::from(format!("/proc/{pid}/cwd"));
    // Of another user's process, the folder may not be known.
    let folders = [Some(here.to_owned()), fs::read_link(&there).ok()];
    let found = folders
        .into_iter()
        .flatten()
        .find_map(|folder| of_process(pid, &folder));
    found.with_context(|| {
        format!(
            "no *.{EXTENSION} file of process {pid} in this folder or in that of the process; \
             name the file, or run the program with `memprof run`"
        )
    })
}

/// The profile of process `pid` in `folder`: of several the one that it writes, then one that is no
/// copy, then the newest.
fn of_process(pid: u32, folder: &Path) -> Option<PathBuf> {
    let header = |path: &Path| {
        let mut bytes = [0; Header::LEN];
        File::open(path).ok()?.read_exact(&mut bytes).ok()?;
        Some(Header::from_bytes(&bytes))
    };
    let profiles = profiles(folder).ok()?.into_iter();
    let headed = profiles.filter_map(|path| Some((header(&path)?, path)));
    let found = headed.filter(|(header, _)| (header.magic, header.pid) == (MAGIC, pid));
    let rank = |(header, path): &(Header, PathBuf)| {
        let is_written = Process::look(pid, path) == Process::Recording;
        (!is_written, !is_original(path, header))
    };
    Some(found.min_by_key(rank)?.1)
}

/// Prints a reading with rates, which takes two; of a program that ended, one is enough.
fn once(mut feed: Feed, args: &LiveArgs) -> anyhow::Result<ExitCode> {
    let mut live = feed.read()?;
    if !live.status.is_final() {
        thread::sleep(args.interval);
        live = feed.read()?;
    }
    let (top, sort) = (args.top, args.sort);
    Output::Stdout.write(|out| LiveText { top, sort }.live(&live, out))
}

/// Shows the page until it is left, by a key or by a signal.
fn show(options: FeedOptions, args: &LiveArgs) -> anyhow::Result<ExitCode> {
    let places = options.places.clone();
    let (readings, reader) = read_on(options, args.interval);
    let first = readings.recv().context("the first reading failed")??;
    let mut page = Page::new(first, places, args.sort);

    let mut signals = Ending::new()?;
    let _restored = Restored;
    let mut terminal = ratatui::try_init()
        .context("cannot use the terminal; `memprof live --once` prints one reading")?;
    let mut reader = Some(reader);
    loop {
        terminal.draw(|frame| draw(frame, &mut page))?;
        loop {
            if let Some(code) = signals.exit_code() {
                return Ok(code);
            }
            if event::poll(TICK)? {
                if let Event::Key(key) = event::read()?
                    && page.key(key) == Flow::Quit
                {
                    return Ok(ExitCode::SUCCESS);
                }
                break;
            }
            match readings.try_recv() {
                Ok(reading) => {
                    page.update(reading.map_err(|error| error.to_string()));
                    break;
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => {
                    if reader.take().is_some_and(|reader| reader.join().is_err()) {
                        bail!("the reading of the profile failed; `memprof live` again goes on");
                    }
                }
            }
        }
    }
}

/// Reads in a thread of its own, so that no key waits for a reading, until the profile will change
/// no more.
fn read_on(
    options: FeedOptions,
    interval: Duration,
) -> (Receiver<Result<Live, FeedError>>, JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut feed = Feed::new(options);
        let mut was_final = false;
        loop {
            let reading = feed.read();
            let is_final = (reading.as_ref()).is_ok_and(|live| live.status.is_final());
            if sender.send(reading).is_err() || (was_final && is_final) {
                return;
            }
            // Once more, for then the rates are zero.
            was_final = is_final;
            thread::sleep(interval);
        }
    });
    (receiver, reader)
}

/// Gives the terminal back when it is dropped, however that comes.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        // It may be gone.
        let _ = ratatui::try_restore();
    }
}

/// The signals that end the page. Where there are none, Ctrl-C comes as a key.
struct Ending {
    #[cfg(unix)]
    signals: Signals,
}

impl Ending {
    fn new() -> io::Result<Ending> {
        Ok(Ending {
            #[cfg(unix)]
            signals: Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT])?,
        })
    }

    /// That of the signal that has come, if one has.
    fn exit_code(&mut self) -> Option<ExitCode> {
        #[cfg(unix)]
        let signal = self.signals.pending().next();
        #[cfg(not(unix))]
        let signal: Option<i32> = None;
        Some(ExitCode::from(128 + signal? as u8))
    }
}
