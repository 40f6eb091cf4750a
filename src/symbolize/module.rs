//! Whether a module's file is still the one that was recorded.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use object::Object;

use crate::profile::Module;

/// Why no report can be made of a profile.
#[derive(thiserror::Error, Debug)]
pub enum SymbolizeError {
    /// The main executable is not the recorded one.
    #[error(
        "{} has changed since the recording: recorded {recorded}, found {found}; \
         put the recorded file back, record again, or use --force for unverified lines",
        path.display()
    )]
    ModuleChanged {
        /// Path as recorded.
        path: PathBuf,
        /// What tells the recorded file from others.
        recorded: String,
        /// The same of the file found.
        found: String,
    },
}

/// What is at a module's path now.
pub(super) enum Identity {
    /// The recorded file.
    Same,
    /// Another file.
    Changed { recorded: String, found: String },
    /// No file that can be read.
    Missing { reason: String },
}

/// Compares build-ids; where none was recorded, length and modification time.
pub(super) fn identify(module: &Module) -> Identity {
    let metadata = match fs::metadata(&module.path) {
        Ok(metadata) if metadata.is_file() => metadata,
        Ok(_) => {
            return Identity::Missing {
                reason: "not a file".to_owned(),
            };
        }
        Err(error) => {
            return Identity::Missing {
                reason: error.to_string(),
            };
        }
    };
    if !module.build_id.is_empty() {
        let recorded = format!("build-id {}", hex(&module.build_id));
        return match build_id(&module.path) {
            // A build-id longer than its field was recorded cut off.
            Ok(Some(found)) if found.starts_with(&module.build_id) => Identity::Same,
            Ok(Some(found)) => Identity::Changed {
                recorded,
                found: format!("build-id {}", hex(&found)),
            },
            Ok(None) => Identity::Changed {
                recorded,
                found: "no build-id".to_owned(),
            },
            Err(reason) => Identity::Missing { reason },
        };
    }
    let modified_ns = (metadata.modified().ok())
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_nanos() as u64);
    let same_len = module.file_len == 0 || module.file_len == metadata.len();
    let same_time = module.modified_ns == 0 || module.modified_ns == modified_ns;
    if same_len && same_time {
        return Identity::Same;
    }
    let shown = |len: u64, ns: u64| {
        format!(
            "{len} bytes of {}.{:09} s",
            ns / 1_000_000_000,
            ns % 1_000_000_000
        )
    };
    Identity::Changed {
        recorded: shown(module.file_len, module.modified_ns),
        found: shown(metadata.len(), modified_ns),
    }
}

/// The build-id of the file at `path`, if it has one.
pub(super) fn build_id(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    // Reads the few parts it needs, not a whole binary with its debug info.
    let cache = object::ReadCache::new(file);
    let object = object::File::parse(&cache).map_err(|error| error.to_string())?;
    let id = object.build_id().map_err(|error| error.to_string())?;
    Ok(id.map(<[u8]>::to_vec))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
