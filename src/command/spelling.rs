//! Options that were called otherwise once: the old spellings are taken, with a note.
//!
//! ```text
//! memprof run --force     -o x.memprof -- app --force   becomes
//! memprof run --overwrite -o x.memprof -- app --force
//! ```
//!
//! Only what is the command's own is looked at, so it is known of each option whether it has a
//! value.

use std::ffi::OsString;

use clap::Command;

/// Which commands had an option, what it was called, and what it is called now.
const RENAMED: &[(&[&str], &str, &str)] = &[
    // It means elsewhere that a program is used although it has changed.
    (&["run"], "--force", "--overwrite"),
    // Elsewhere it is where something is sent.
    (&["export"], "--to", "--format"),
    // The word of other tools for the smallest that is shown.
    (&["tree"], "--least", "--min"),
    // FILE is the profile.
    (
        &["report", "summary", "diff", "leaks", "temporary"],
        "--file",
        "--source-file",
    ),
];

/// The arguments as they are written now, and what to tell whoever wrote them otherwise.
pub fn renewed(definition: &Command, arguments: Vec<OsString>) -> (Vec<OsString>, Vec<String>) {
    let mut commands = vec![definition];
    let mut renewed: Vec<OsString> = Vec::with_capacity(arguments.len());
    let mut notes = Vec::new();
    let mut arguments = arguments.into_iter();
    renewed.extend(arguments.next());
    while let Some(argument) = arguments.next() {
        let command = *commands.last().unwrap_or(&definition);
        let text = argument.to_str().unwrap_or_default().to_owned();
        let is_option = text.len() > 1 && text.starts_with('-');
        if !is_option {
            let inner = command.find_subcommand(&text);
            renewed.push(argument);
            match inner {
                Some(inner) => commands.push(inner),
                // From its name on, everything is the program's.
                None if command.get_name() == "run" => break,
                None => {}
            }
            continue;
        }
        if text == "--" {
            renewed.push(argument);
            break;
        }
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text.as_str(), None),
        };
        let now = (RENAMED.iter())
            .find(|(of, old, _)| *old == name && of.contains(&command.get_name()))
            .map(|&(_, _, now)| now);
        if let Some(now) = now {
            let note = format!("`{name}` is called `{now}` now; the old name is still taken");
            notes.extend((!notes.contains(&note)).then_some(note));
        }
        let name = now.unwrap_or(name);
        renewed.push(match (now, value) {
            (Some(now), Some(value)) => format!("{now}={value}").into(),
            (Some(now), None) => now.into(),
            (None, _) => argument,
        });
        if value.is_none() && commands.iter().any(|command| has_value(command, name)) {
            renewed.extend(arguments.next());
        }
    }
    renewed.extend(arguments);
    (renewed, notes)
}

/// Whether the argument behind `option`, be it `--long` or `-s` or several of these in one, is its
/// value.
fn has_value(command: &Command, option: &str) -> bool {
    let is_it = |argument: &&clap::Arg| match option.strip_prefix("--") {
        Some(long) => argument.get_long() == Some(long),
        None => argument.get_short() == option.chars().last(),
    };
    let argument = command.get_arguments().find(is_it);
    argument.is_some_and(|argument| argument.get_action().takes_values())
}

#[cfg(test)]
mod tests {
    use super::super::definition;
    use super::*;

    fn renewed(arguments: &str) -> (String, usize) {
        let words = arguments.split(' ').map(OsString::from).collect();
        let (renewed, notes) = super::renewed(&definition(), words);
        let words: Vec<_> = renewed.iter().map(|word| word.to_str().unwrap()).collect();
        (words.join(" "), notes.len())
    }

    #[test]
    fn old_names_of_options_become_new_ones() {
        let cases = [
            (
                "memprof run --force -o x.memprof -- app",
                "memprof run --overwrite -o x.memprof -- app",
            ),
            (
                "memprof --color never run -o x.memprof --force app",
                "memprof --color never run -o x.memprof --overwrite app",
            ),
            (
                "memprof export --to pprof x.memprof",
                "memprof export --format pprof x.memprof",
            ),
            (
                "memprof export x.memprof --to=pprof -o -",
                "memprof export x.memprof --format=pprof -o -",
            ),
            (
                "memprof report x.memprof --file src/main.rs",
                "memprof report x.memprof --source-file src/main.rs",
            ),
            (
                "memprof history --db x.sqlite diff last --file=main.rs",
                "memprof history --db x.sqlite diff last --source-file=main.rs",
            ),
            ("memprof tree --least 2", "memprof tree --min 2"),
        ];
        for (old, new) in cases {
            assert_eq!(renewed(old), (new.to_owned(), 1), "{old}");
        }
        let twice = renewed("memprof report --file a --file b");
        assert_eq!(twice.1, 1, "one note for a name");
    }

    #[test]
    fn everything_else_stays() {
        for same in [
            "memprof",
            "memprof report --force x.memprof",
            "memprof push --to http://127.0.0.1:4040",
            "memprof run app --force",
            "memprof run --sample all app --force --file x",
            "memprof run -o --force app",
            "memprof run --own --force app",
            "memprof run -- --force",
            "memprof report --function --file",
            "memprof report -o --file",
            "memprof report -- --file",
            "memprof --file",
            "memprof summary --source-file x",
        ] {
            assert_eq!(renewed(same), (same.to_owned(), 0), "{same}");
        }
    }
}
