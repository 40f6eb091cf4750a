//! Where programs are recorded.

use std::process::ExitCode;

use super::{PsArgs, PsFormat};
use crate::attach::list;
use crate::command::output::Output;
use crate::render::{ProgramsJson, ProgramsText};

/// Lists the programs.
pub fn run(args: PsArgs) -> anyhow::Result<ExitCode> {
    let programs = list();
    Output::to(args.output.as_deref()).write(|out| match args.format {
        PsFormat::Text => ProgramsText.programs(&programs, out),
        PsFormat::Json => ProgramsJson.programs(&programs, out),
    })
}
