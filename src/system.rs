//! What the analyst asks the system beyond std: files read at a place, paths as bytes, limits.
//!
//! The functions of `unix` and of `elsewhere` are the same; no other module asks which system it is
//! on, but for `run`, `live` and the commands that some systems cannot have.

#[cfg_attr(unix, path = "system/unix.rs")]
#[cfg_attr(not(unix), path = "system/elsewhere.rs")]
mod own;

pub use own::{
    file_size_limit, inode, new_file_permissions, no_such_process, path, private_file_permissions,
    read_exact_at, terminal_columns, write_all_at,
};
