//! `memprof completions` and `memprof manpages`: made from the definition of the command line
//! itself.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::load::Output;

/// Print completions for a shell
///
/// bash: memprof completions bash > ~/.local/share/bash-completion/completions/memprof
/// fish: memprof completions fish > ~/.config/fish/completions/memprof.fish
/// zsh:  memprof completions zsh > "${fpath[1]}/_memprof"
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Completions {
    /// Complete for this shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Write man pages, one for each command, into a folder.
#[derive(clap::Args, Debug)]
pub struct Manpages {
    /// Write into this folder; it has to be there, such as ~/.local/share/man/man1
    folder: PathBuf,
}

/// `command` is the whole command line, as it is defined.
pub fn completions(args: Completions, mut command: clap::Command) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "memprof", &mut text);
    Output::Stdout.write_raw(|out| out.write_all(&text))
}

/// `command` is the whole command line, as it is defined.
pub fn manpages(args: Manpages, mut command: clap::Command) -> anyhow::Result<ExitCode> {
    command.build();
    for part in [&command].into_iter().chain(command.get_subcommands()) {
        page(part, &args.folder)?;
        for inner in part
            .get_subcommands()
            .filter(|_| part.get_name() == "history")
        {
            page(inner, &args.folder)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn page(command: &clap::Command, folder: &std::path::Path) -> anyhow::Result<()> {
    let name = match command.get_display_name() {
        Some(name) => name.to_owned(),
        None => command.get_name().to_owned(),
    };
    let path = folder.join(format!("{name}.1"));
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    fs::write(&path, text).with_context(|| {
        format!(
            "cannot write {}; make the folder with `mkdir -p`",
            path.display()
        )
    })
}
