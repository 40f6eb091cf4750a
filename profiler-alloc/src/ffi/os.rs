//! The few questions that the recorder asks the system: clocks, numbers, names, the environment,
//! one line on stderr.
//!
//! The list below is the interface: a system answers all of it. What only a recording asks has an
//! answer for where nothing is recorded, such as "no such file".

use core::ffi::CStr;

#[cfg_attr(can_record, path = "linux/os.rs")]
#[cfg_attr(not(can_record), path = "elsewhere/os.rs")]
mod system;

// What counting asks too.
pub use system::{
    Errno, Statm, coarse_ns, cpu_ns, now_ns, process_id, started_ns, thread_cpu_ns, thread_id,
    unix_ns,
};
// What only our own unwinder asks.
#[cfg(not(portable_unwinder))]
pub use system::copy_memory;
// What only a recording asks.
pub use system::{
    EXISTS, NAME_TOO_LONG, error_text, file_stamp, inode, is_privileged, is_program, is_readable,
    keep_off_stderr, last_error, mapped_file, note_stderr, os_str, read_link, remove_file,
    thread_name, whole_path,
};

/// The value of an environment variable, valid until the program changes its environment: copy it
/// at once.
pub fn env(name: &str) -> Option<&'static [u8]> {
    let mut c_name = [0u8; 64];
    c_name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: the name ends with a zero, being shorter than its buffer; called before main or by
    // the thread that starts a recording, and callers copy the bytes before they do anything else.
    unsafe {
        let value = libc::getenv(c_name.as_ptr().cast());
        (!value.is_null()).then(|| CStr::from_ptr(value).to_bytes())
    }
}

/// Writes one line to stderr: `profiler-alloc: ` and the parts.
#[cold]
#[inline(never)]
pub fn warn(parts: &[&[u8]]) {
    if !system::has_stderr() {
        return;
    }
    let mut line = [0u8; 512];
    let mut len = 0;
    let texts = [b"profiler-alloc: ".as_slice()]
        .into_iter()
        .chain(parts.iter().copied());
    for text in texts {
        let take = text.len().min(line.len() - 1 - len);
        line[len..len + take].copy_from_slice(&text[..take]);
        len += take;
    }
    line[len] = b'\n';
    // SAFETY: the buffer holds len + 1 bytes. A failed or short write loses a warning, nothing
    // else.
    unsafe { libc::write(2, line.as_ptr().cast(), (len + 1) as _) };
}
