//! `memprof timeline`: heap and RSS over time, in the terminal or as a picture.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;

use super::load::{Input, Output, terminal_width};
use crate::render::{TimelineSvg, TimelineText};
use crate::report::Timeline;

/// Show heap and RSS over time, with the peak marked; as a picture if the name of FILE ends in .svg
/// or .png.
#[derive(clap::Args, Debug)]
pub struct TimelineArgs {
    #[command(flatten)]
    input: Input,
    /// Draw the plot N lines high in the terminal
    #[arg(long, value_name = "N", default_value_t = 14, value_parser = clap::value_parser!(u8).range(3..=100))]
    height: u8,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE.svg|FILE.png|FILE.txt")]
    output: Option<PathBuf>,
}

pub fn run(args: TimelineArgs) -> anyhow::Result<ExitCode> {
    let (profile, defects) = args.input.read()?;
    let timeline = Timeline::new(&profile, defects);
    let output = Output::to(args.output.as_deref());
    let extension = args.output.as_ref().and_then(|path| path.extension());
    match extension.and_then(|extension| extension.to_str()) {
        Some("svg") => output.write_raw(|out| TimelineSvg.svg(&timeline, out)),
        Some("png") => {
            let mut has_text = true;
            let code = output.write_raw(|out| {
                has_text = TimelineSvg.png(&timeline, out)?;
                Ok(())
            })?;
            if !has_text {
                let _ = writeln!(
                    io::stderr(),
                    "memprof: no font was found, so the picture has no text; install one, such as fonts-dejavu-core, or write FILE.svg"
                );
            }
            Ok(code)
        }
        Some("txt") | None => {
            let plot = TimelineText {
                width: terminal_width().unwrap_or(TimelineText::default().width),
                height: usize::from(args.height),
            };
            output.write(|out| plot.timeline(&timeline, out))
        }
        Some(_) => bail!(
            "the name of the picture has to end in .svg or .png (or .txt, for a plot of characters)"
        ),
    }
}
