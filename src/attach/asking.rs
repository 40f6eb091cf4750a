//! One request to a recorder, from its writing to its answer.

use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use profiler_alloc_format::control::{self, Control};
use profiler_alloc_format::moments::MAX_NAME_LEN;

use super::control::{KnownPages, Memory, PagePlace};
use super::maps::{self, seen_from_here};
use super::{AttachError, RunningProcess};

/// Most records of threads that are made to look.
const MOST_THREADS: u64 = 1 << 16;

/// How long a program may take to begin a recording.
const AT_IT: Duration = Duration::from_millis(100);

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// To begin a recording, with these variables.
    Begin(Vec<(&'static str, Vec<u8>)>),
    /// To end it.
    End,
    /// To keep the heap as it is, under this name.
    Mark(String),
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The program has not allocated or freed anything since.
    Waiting,
    /// Done; the profile, as it is found from here.
    Done(PathBuf),
}

/// A request that is under way.
#[derive(Debug)]
pub struct Asking {
    process: RunningProcess,
    memory: Memory,
    place: PagePlace,
    number: u64,
    /// The path asked for, to be named if it cannot be made.
    pattern: PathBuf,
}

impl Asking {
    /// Writes a request into `process`.
    ///
    /// # Errors
    /// If it has no recorder of this version, or the system does not let it be asked.
    pub fn begin(process: RunningProcess, wish: &Wish) -> Result<Asking, AttachError> {
        let gone = |_| AttachError::Ended { pid: process.pid };
        let mappings = match maps::of(process.pid) {
            Ok(mappings) => mappings,
            // What may not be looked at may not be written to either, and that says why.
            Err(_) => {
                Memory::open(&process, true)?;
                return Err(AttachError::Ended { pid: process.pid });
            }
        };
        let places = KnownPages::default().find(&process, &mappings);
        let without_recorder = || {
            let RunningProcess { pid, name, .. } = process.clone();
            AttachError::NoRecorder { pid, name }
        };
        if places.is_empty() {
            return Err(without_recorder());
        }
        let memory = Memory::open(&process, true)?;
        let chosen = choose(&memory, places).map_err(gone)?;
        let (place, page) = chosen.ok_or_else(without_recorder)?;
        if !page.is_valid() {
            let RunningProcess { pid, name, .. } = process;
            return Err(AttachError::OtherVersion { pid, name });
        }
        let mut asking = Asking {
            process,
            memory,
            place,
            // A request that was taken back may not have been passed over yet.
            number: control::next(page.asked),
            pattern: PathBuf::new(),
        };
        asking.write(wish)?;
        Ok(asking)
    }

    fn write(&mut self, wish: &Wish) -> Result<(), AttachError> {
        let (request, text) = match wish {
            Wish::Begin(variables) => (control::BEGIN, self.text(variables)?),
            Wish::End => (control::END, vec![0]),
            Wish::Mark(name) => (control::MARK, mark_text(name)?),
        };
        let at = |offset: usize| self.place.address + offset as u64;
        let of = self.process.own_pid.to_le_bytes();
        let words = [request.to_le_bytes(), of, [0; 4], [0; 4]].concat();
        let number = self.number.to_le_bytes();
        let written = (self.memory.write(&text, at(control::TEXT_AT)))
            .and_then(|()| self.memory.write(&words, at(control::REQUEST_AT)))
            .and_then(|()| self.memory.write(&number, at(control::ASKED_AT)));
        written.map_err(|_| self.ended())
    }

    fn text(&mut self, variables: &[(&str, Vec<u8>)]) -> Result<Vec<u8>, AttachError> {
        let mut text = Vec::new();
        for (name, value) in variables {
            if *name == profiler_alloc_format::env::OUTPUT {
                self.pattern = crate::system::path(value);
            }
            text.extend_from_slice(name.as_bytes());
            text.push(b'=');
            text.extend_from_slice(value);
            text.push(0);
        }
        text.push(0);
        let fits = text.len() <= control::TEXT_LEN;
        fits.then_some(text).ok_or(AttachError::TooLong)
    }

    /// Looks for the answer, and has the program's threads look for the request.
    ///
    /// # Errors
    /// What stands in the way, in the program's own words.
    pub fn look(&self) -> Result<Outcome, AttachError> {
        let page = self.page()?;
        if page.answered == self.number {
            return self.outcome(&page);
        }
        self.nudge(&page).map_err(|_| self.ended())?;
        Ok(Outcome::Waiting)
    }

    /// Takes the request back.
    ///
    /// # Errors
    /// As [`look`](Self::look), if the program was faster.
    pub fn give_up(&self) -> Result<Outcome, AttachError> {
        // Of nobody from now on: the next thread that looks passes it over.
        let at = self.place.address + control::ASKED_OF_AT as u64;
        let written = self.memory.write(&[0; 4], at);
        written.map_err(|_| self.ended())?;
        // One that looked a moment ago may be at it.
        thread::sleep(AT_IT);
        let page = self.page()?;
        match page.answered == self.number {
            true => self.outcome(&page),
            false => Err(self.given_up()),
        }
    }

    fn page(&self) -> Result<Control, AttachError> {
        (self.memory.control(self.place.address)).map_err(|_| self.ended())
    }

    /// Every thread's thresholds become zero, so that its next operation takes the slow path.
    fn nudge(&self, page: &Control) -> io::Result<()> {
        if page.threads_at == 0 {
            return Ok(());
        }
        let count = self.memory.word(page.thread_count_at)?;
        for number in 0..count.min(MOST_THREADS) {
            let thread = page.threads_at + number * control::THREAD_LEN as u64;
            for at in control::THRESHOLDS_AT {
                self.memory.write(&[0; 8], thread + at as u64)?;
            }
        }
        Ok(())
    }

    fn outcome(&self, page: &Control) -> Result<Outcome, AttachError> {
        let RunningProcess { pid, name, .. } = self.process.clone();
        let error = match page.answer {
            control::DONE => {
                let path = self.path(page).unwrap_or_else(|| self.pattern.clone());
                return Ok(Outcome::Done(path));
            }
            control::RECORDING_ALREADY => AttachError::RecordingAlready {
                pid,
                name,
                path: self.path(page),
            },
            control::NONE => self.given_up(),
            control::NOT_ATTACHED => AttachError::NotAttached { pid, name },
            control::PRIVILEGED => AttachError::Privileged { pid, name },
            control::NOT_RECORDING => AttachError::NotRecording { pid, name },
            control::NO_MORE_MARKS => AttachError::NoMoreMarks { pid, name },
            control::NO_MEMORY => AttachError::NoMemory { pid },
            control::NO_FILE => AttachError::NoFile {
                pid,
                path: self.pattern.clone(),
                error: match page.error {
                    0 => io::ErrorKind::AlreadyExists.into(),
                    error => io::Error::from_raw_os_error(error as i32),
                },
            },
            _ => AttachError::OtherVersion { pid, name },
        };
        Err(error)
    }

    /// The path that the program answers with, as it is found from here.
    fn path(&self, page: &Control) -> Option<PathBuf> {
        let bytes: Vec<u8> = page
            .text
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        let path = bytes.split(|&byte| byte == 0).next()?;
        let path = (!path.is_empty()).then(|| crate::system::path(path))?;
        Some(seen_from_here(self.process.pid, &path))
    }

    fn given_up(&self) -> AttachError {
        AttachError::GivenUp {
            pid: self.process.pid,
        }
    }

    fn ended(&self) -> AttachError {
        AttachError::Ended {
            pid: self.process.pid,
        }
    }
}

fn mark_text(name: &str) -> Result<Vec<u8>, AttachError> {
    let fits = !name.is_empty() && name.len() <= MAX_NAME_LEN && !name.contains('\0');
    let text = fits.then(|| [name.as_bytes(), &[0]].concat());
    text.ok_or_else(|| AttachError::MarkName {
        name: name.to_owned(),
    })
}

/// The recorder to ask: the program's own, or of its libraries' the one with most heap in use.
/// `None` if nobody would answer.
fn choose(memory: &Memory, places: Vec<PagePlace>) -> io::Result<Option<(PagePlace, Control)>> {
    let mut best: Option<(i64, PagePlace, Control)> = None;
    for place in places {
        let page = memory.control(place.address)?;
        if place.is_idle(&page) {
            continue;
        }
        let heap = match page.heap_at {
            0 => -1,
            at => memory.word(at)? as i64,
        };
        let is_better = best.as_ref().is_none_or(|(most, ..)| *most < heap);
        let is_program = place.is_program;
        if is_better {
            best = Some((heap, place, page));
        }
        if is_program {
            break;
        }
    }
    Ok(best.map(|(_, place, page)| (place, page)))
}
