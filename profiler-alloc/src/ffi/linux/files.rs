//! What Linux says of files, by path, by descriptor and by address.

use core::ffi::CStr;

use crate::ffi::decimal::Decimal;

/// Target of a symbolic link, cut off at the buffer's length.
pub fn read_link<'a>(path: &CStr, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    // SAFETY: `path` ends with a zero and the buffer is as long as stated.
    let len = unsafe { libc::readlink(path.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
    (len >= 0).then(|| &buffer[..len as usize])
}

/// Number of an open file's inode.
pub fn inode(fd: i32) -> Option<u64> {
    let mut status = core::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the pointer is to a buffer of the right size, which is read only if the call has
    // filled it.
    unsafe { (libc::fstat(fd, status.as_mut_ptr()) == 0).then(|| status.assume_init().st_ino) }
}

/// The whole path of the file that `path` leads to from the current folder, cut off at the buffer's
/// length.
pub fn whole_path<'a>(path: &CStr, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    // SAFETY: the path ends with a zero. A descriptor of this kind reads and writes nothing.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) };
    if fd < 0 {
        return None;
    }
    let mut link = *b"/proc/self/fd/0000000000\0";
    let number = Decimal::new(fd as u64);
    let (start, digits) = (b"/proc/self/fd/".len(), number.bytes());
    link[start..start + digits.len()].copy_from_slice(digits);
    link[start + digits.len()] = 0;
    let link = CStr::from_bytes_until_nul(&link).unwrap_or(c"");
    let whole = read_link(link, buffer);
    // SAFETY: opened above, and known to nobody else.
    unsafe { libc::close(fd) };
    whole
}

/// The path of the file that is mapped at `start`, if the buffer has room for its line of
/// `/proc/self/maps`: `7f21a000-7f21b000 r--p 00000000 08:01 1311 /usr/bin/app`.
pub fn mapped_file(start: usize, buffer: &mut [u8; 512]) -> Option<&CStr> {
    // SAFETY: the path ends with a zero.
    let fd = unsafe {
        libc::open(
            c"/proc/self/maps".as_ptr(),
            libc::O_RDONLY | libc::O_CLOEXEC,
        )
    };
    let mut part = [0u8; 512];
    let mut len = 0;
    let is_wanted = |line: &[u8]| {
        let digits = line.split(|&byte| byte == b'-').next().unwrap_or_default();
        let text = core::str::from_utf8(digits).unwrap_or_default();
        usize::from_str_radix(text, 16) == Ok(start)
    };
    let found = 'lines: loop {
        // SAFETY: the buffer is as long as stated; a descriptor below 0 makes the call fail.
        let read = unsafe { libc::read(fd, part.as_mut_ptr().cast(), part.len()) };
        if read <= 0 {
            break false;
        }
        for &byte in &part[..read as usize] {
            if byte != b'\n' {
                // Of a line that is too long no end is found below.
                if let Some(place) = buffer.get_mut(len) {
                    *place = byte;
                    len += 1;
                }
            } else if is_wanted(&buffer[..len]) {
                break 'lines true;
            } else {
                len = 0;
            }
        }
    };
    // SAFETY: opened above, and known to nobody else; closing nothing fails.
    unsafe { libc::close(fd) };
    let path_at = buffer[..len].iter().position(|&byte| byte == b'/')?;
    buffer[len..].fill(0);
    let path = CStr::from_bytes_until_nul(&buffer[path_at..]).ok()?;
    found.then_some(path)
}

/// Removes a file that this crate has just created, and that has become useless.
pub fn remove_file(path: &CStr) {
    // SAFETY: the path ends with a zero.
    unsafe { libc::unlink(path.as_ptr()) };
}

/// Length and time of the last change (nanoseconds since 1970) of a file.
pub fn file_stamp(path: &CStr) -> Option<(u64, u64)> {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `path` ends with a zero; `stat` is written whole if the call succeeds.
    let stat = unsafe {
        if libc::stat(path.as_ptr(), stat.as_mut_ptr()) != 0 {
            return None;
        }
        stat.assume_init()
    };
    let modified = (stat.st_mtime as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(stat.st_mtime_nsec as u64);
    Some((stat.st_size as u64, modified))
}
