//! Running programs that have the recorder, as text and as JSON; `docs/json.md` describes the
//! latter.

use std::io::{self, Write};

use serde::Serialize;

use super::escape::escape;
use super::format;
use super::json::write;
use super::style::TITLE;
use crate::report::{ProgramState, Programs, RunningProgram};

/// Name and version of the shape.
const PROGRAMS: &str = "memprof-ps/1";

/// A line for each program, for people.
#[derive(Clone, Copy, Debug)]
pub struct ProgramsText;

/// For programs.
#[derive(Clone, Copy, Debug)]
pub struct ProgramsJson;

impl ProgramsText {
    /// Writes `programs` to `out`.
    pub fn programs(&self, programs: &Programs, out: &mut dyn Write) -> io::Result<()> {
        if programs.list.is_empty() {
            return writeln!(
                out,
                "No program of this user that runs now has the recorder; docs/any_program.md says how one gets it."
            );
        }
        let name_of = |program: &RunningProgram| escape(&program.name).into_owned();
        let names = programs
            .list
            .iter()
            .map(|program| name_of(program).chars().count());
        let width = names.max().unwrap_or_default().max("PROGRAM".len());
        let head = format!(
            "{:>8}  {:<width$}  {:>10}  {}",
            "PID", "PROGRAM", "HEAP", "RECORDING"
        );
        writeln!(out, "{TITLE}{head}{TITLE:#}")?;
        for program in &programs.list {
            let heap = program.heap.map_or("-".to_owned(), format::bytes);
            let paused = match program.state {
                ProgramState::Paused => " (paused)",
                _ => "",
            };
            let profile = program.profile.as_ref().map(|path| path.to_string_lossy());
            let profile = profile.as_deref().map_or("no".into(), escape);
            let name = name_of(program);
            writeln!(
                out,
                "{:>8}  {name:<width$}  {heap:>10}  {profile}{paused}",
                program.pid
            )?;
        }
        match programs.unseen {
            Some(remedy) => writeln!(
                out,
                "Note: the heap (-) of a program that only counts is in its memory, which this user may not look at: {remedy}."
            ),
            None => Ok(()),
        }
    }
}

impl ProgramsJson {
    /// Writes `programs` to `out`.
    pub fn programs(&self, programs: &Programs, out: &mut dyn Write) -> io::Result<()> {
        let shape = ProgramsShape {
            schema: PROGRAMS,
            programs: programs.list.iter().map(ProgramShape::of).collect(),
        };
        write(&shape, out)
    }
}

#[derive(Serialize)]
struct ProgramsShape<'a> {
    schema: &'static str,
    programs: Vec<ProgramShape<'a>>,
}

#[derive(Serialize)]
struct ProgramShape<'a> {
    pid: u32,
    name: &'a str,
    heap: Option<i64>,
    state: &'static str,
    profile: Option<String>,
}

impl ProgramShape<'_> {
    fn of(program: &RunningProgram) -> ProgramShape<'_> {
        let profile = program.profile.as_ref();
        ProgramShape {
            pid: program.pid,
            name: &program.name,
            heap: program.heap,
            state: match program.state {
                ProgramState::Counting => "counting",
                ProgramState::Recording => "recording",
                ProgramState::Paused => "paused",
            },
            profile: profile.map(|path| path.to_string_lossy().into_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs() -> Programs {
        let program = |pid, name: &str, heap, state| RunningProgram {
            pid,
            name: name.to_owned(),
            heap,
            state,
            profile: (state != ProgramState::Counting).then(|| "/home/me/x.memprof".into()),
        };
        Programs {
            list: vec![
                program(7, "shop", Some(12_897_485), ProgramState::Counting),
                program(4711, "a-longer-name\n", Some(0), ProgramState::Recording),
                program(4712, "b", None, ProgramState::Counting),
                program(4713, "c", Some(1), ProgramState::Paused),
            ],
            unseen: Some("be root"),
        }
    }

    #[test]
    fn lists_programs_for_people() {
        let mut out = Vec::new();
        ProgramsText.programs(&programs(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let text = anstream::adapter::strip_str(&text).to_string();
        insta::assert_snapshot!(text, @r"
             PID  PROGRAM                   HEAP  RECORDING
               7  shop                  12.3 MiB  no
            4711  a-longer-name\u{a}         0 B  /home/me/x.memprof
            4712  b                            -  no
            4713  c                          1 B  /home/me/x.memprof (paused)
        Note: the heap (-) of a program that only counts is in its memory, which this user may not look at: be root.
        ");
        let mut out = Vec::new();
        ProgramsText
            .programs(&Programs::default(), &mut out)
            .unwrap();
        assert!(
            String::from_utf8(out)
                .unwrap()
                .starts_with("No program of this user")
        );
    }

    #[test]
    fn lists_programs_for_programs() {
        let mut out = Vec::new();
        ProgramsJson.programs(&programs(), &mut out).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["schema"], PROGRAMS);
        assert_eq!(json["programs"][0]["state"], "counting");
        assert_eq!(json["programs"][0]["profile"], serde_json::Value::Null);
        assert_eq!(json["programs"][3]["profile"], "/home/me/x.memprof");
        assert_eq!(json["programs"][2]["heap"], serde_json::Value::Null);
    }
}
