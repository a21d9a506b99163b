//! A library for `LD_PRELOAD`: once the file exists that `NEXUS_TEST_SYNC_FAILS` names, no sync succeeds any more, as on a
//! disk that dies. Compiled by the test that uses it, no part of the test binary.

use std::{
    ffi::{c_int, c_long},
    path::Path,
};

#[cfg(target_arch = "x86_64")]
const CALLS: (c_long, c_long) = (74, 75);
#[cfg(target_arch = "aarch64")]
const CALLS: (c_long, c_long) = (82, 83);
const EIO: c_int = 5;

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn __errno_location() -> *mut c_int;
}

fn sync(call: c_long, fd: c_int) -> c_int {
    if std::env::var_os("NEXUS_TEST_SYNC_FAILS").is_some_and(|file| Path::new(&file).exists()) {
        // SAFETY: the C library's own place for this thread's error.
        unsafe { *__errno_location() = EIO };
        return -1;
    }
    // SAFETY: the call that was meant, with its one argument.
    unsafe { syscall(call, fd) as c_int }
}

/// In place of the C library's.
#[unsafe(no_mangle)]
pub extern "C" fn fsync(fd: c_int) -> c_int {
    sync(CALLS.0, fd)
}

/// In place of the C library's.
#[unsafe(no_mangle)]
pub extern "C" fn fdatasync(fd: c_int) -> c_int {
    sync(CALLS.1, fd)
}
