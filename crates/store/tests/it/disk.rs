//! A SQLite VFS over a disk that lives in memory and forgets. Reads and writes see one state; only what was synced is
//! in the other, which is what a power cut leaves. Locks and shared memory are the platform's own.
#![expect(unsafe_code, reason = "a VFS is a table of C functions")]

use std::{
    collections::HashMap,
    ffi::{CStr, CString, c_char, c_int, c_void},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::ffi;

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound.max(1)
    }
}

/// A change that was not synced yet.
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write(at, bytes) => {
                if to.len() < at + bytes.len() {
                    to.resize(at + bytes.len(), 0);
                }
                to[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Self::Truncate(size) => to.resize(*size, 0),
        }
    }
}

#[derive(Default)]
struct File {
    current: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Default)]
struct State {
    files: HashMap<String, File>,
    /// Writes and syncs until the power goes.
    left: Option<u64>,
    off: bool,
    syncs_left: Option<u64>,
    sync_failed: bool,
    later_syncs: u64,
    seed: u64,
}

impl State {
    /// Counts an operation; false once the power is off.
    fn powered(&mut self) -> bool {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
            self.off |= *left == 0;
        }
        !self.off
    }
}

/// One simulated disk, known to SQLite under a name. Lives as long as the process, as its VFS does.
pub(crate) struct Disk {
    name: CString,
    base: *mut ffi::sqlite3_vfs,
    state: Mutex<State>,
}

// SAFETY: `base` is the platform's VFS, which SQLite itself uses from all threads; the rest is in a mutex.
unsafe impl Send for Disk {}
// SAFETY: as above.
unsafe impl Sync for Disk {}

impl Disk {
    pub(crate) fn register(name: &str, seed: u64) -> &'static Self {
        let state = Mutex::new(State { seed, ..State::default() });
        // SAFETY: finds the default VFS, which is never freed; the new one is leaked, as SQLite keeps the pointer.
        unsafe {
            let base = ffi::sqlite3_vfs_find(std::ptr::null());
            assert!(!base.is_null());
            let disk: &'static Self = Box::leak(Box::new(Self { name: CString::new(name).unwrap(), base, state }));
            let mut vfs = *base;
            vfs.szOsFile = (*base).szOsFile + c_int::try_from(size_of::<Handle>()).unwrap();
            vfs.zName = disk.name.as_ptr();
            vfs.pNext = std::ptr::null_mut();
            vfs.pAppData = std::ptr::from_ref(disk).cast_mut().cast();
            vfs.xOpen = Some(open);
            vfs.xDelete = Some(delete);
            vfs.xAccess = Some(access);
            vfs.xFullPathname = Some(full_path);
            let registered = ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 0);
            assert_eq!(registered, ffi::SQLITE_OK);
            disk
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn name(&self) -> String {
        self.name.to_str().unwrap().to_owned()
    }

    pub(crate) fn cut_after(&self, operations: u64) {
        self.state().left = Some(operations);
    }

    /// The sync after so many fails, and what it should have made durable never will be, as Linux does it.
    pub(crate) fn fail_sync_after(&self, syncs: u64) {
        self.state().syncs_left = Some(syncs);
    }

    pub(crate) fn syncs_after_the_failed_one(&self) -> u64 {
        self.state().later_syncs
    }

    /// What is on the disk when the power is back; with `torn`, some unsynced sectors are there too.
    pub(crate) fn write_out(&self, folder: &Path, torn: bool) {
        let mut state = self.state();
        state.off = true;
        let mut random = Random(state.seed);
        for (path, file) in &state.files {
            let mut bytes = file.durable.clone();
            if torn {
                for change in &file.pending {
                    tear(change, &mut bytes, &mut random);
                }
            }
            let name = Path::new(path).file_name().unwrap();
            if !bytes.is_empty() {
                std::fs::write(folder.join(name), bytes).unwrap();
            }
        }
    }
}

fn tear(change: &Change, bytes: &mut Vec<u8>, random: &mut Random) {
    match change {
        Change::Truncate(_) => {}
        Change::Write(at, data) => {
            for (n, sector) in data.chunks(512).enumerate() {
                if random.below(2) == 0 {
                    Change::Write(at + n * 512, sector.to_vec()).apply(bytes);
                }
            }
        }
    }
}

/// Our part of an open file; the platform's lies behind it in the same allocation.
#[repr(C)]
struct Handle {
    base: ffi::sqlite3_file,
    disk: &'static Disk,
    path: *mut String,
}

/// The platform's part.
unsafe fn real(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: szOsFile was made large enough for both.
    unsafe { file.cast::<Handle>().add(1).cast() }
}

unsafe fn parts<'a>(file: *mut ffi::sqlite3_file) -> (&'static Disk, &'a String) {
    // SAFETY: only called on files that `open` filled in.
    unsafe {
        let handle = file.cast::<Handle>();
        ((*handle).disk, &*(*handle).path)
    }
}

unsafe fn disk_of(vfs: *mut ffi::sqlite3_vfs) -> &'static Disk {
    // SAFETY: pAppData was set to a leaked disk.
    unsafe { &*(*vfs).pAppData.cast::<Disk>() }
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives szOsFile bytes and a name that outlives the file.
    unsafe {
        let disk = disk_of(vfs);
        let handle = file.cast::<Handle>();
        (*handle).base.pMethods = std::ptr::null();
        let Some(xopen) = (*disk.base).xOpen else { return ffi::SQLITE_ERROR };
        let done = xopen(disk.base, name, real(file), flags, out);
        if done != ffi::SQLITE_OK {
            return done;
        }
        let path =
            if name.is_null() { "temporary".to_owned() } else { CStr::from_ptr(name).to_str().unwrap().to_owned() };
        disk.state().files.entry(path.clone()).or_default();
        (*handle).disk = disk;
        (*handle).path = Box::into_raw(Box::new(path));
        (*handle).base.pMethods = &raw const METHODS;
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: a valid path.
    unsafe {
        let disk = disk_of(vfs);
        let mut state = disk.state();
        if !state.powered() {
            return ffi::SQLITE_IOERR_DELETE;
        }
        state.files.remove(CStr::from_ptr(name).to_str().unwrap());
        drop(state);
        (*disk.base).xDelete.map_or(ffi::SQLITE_ERROR, |x| x(disk.base, name, sync))
    }
}

unsafe extern "C" fn access(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, flags: c_int, out: *mut c_int) -> c_int {
    // SAFETY: a valid path and place for the answer.
    unsafe {
        let disk = disk_of(vfs);
        if flags != ffi::SQLITE_ACCESS_EXISTS {
            return (*disk.base).xAccess.map_or(ffi::SQLITE_ERROR, |x| x(disk.base, name, flags, out));
        }
        let found =
            disk.state().files.get(CStr::from_ptr(name).to_str().unwrap()).is_some_and(|f| !f.current.is_empty());
        *out = c_int::from(found);
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn full_path(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    size: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: handed on as it came.
    unsafe {
        let disk = disk_of(vfs);
        (*disk.base).xFullPathname.map_or(ffi::SQLITE_ERROR, |x| x(disk.base, name, size, out))
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: `open` made the path; this is the file's end.
    unsafe {
        drop(Box::from_raw((*file.cast::<Handle>()).path));
        let real = real(file);
        (*(*real).pMethods).xClose.map_or(ffi::SQLITE_ERROR, |x| x(real))
    }
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    out: *mut c_void,
    count: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite gives room for `count` bytes.
    unsafe {
        let (disk, path) = parts(file);
        let state = disk.state();
        if state.off {
            return ffi::SQLITE_IOERR_READ;
        }
        let out = std::slice::from_raw_parts_mut(out.cast::<u8>(), usize::try_from(count).unwrap());
        let bytes = state.files.get(path).map_or(&[][..], |f| &f.current);
        let from = usize::try_from(at).unwrap().min(bytes.len());
        let have = (bytes.len() - from).min(out.len());
        out[..have].copy_from_slice(&bytes[from..from + have]);
        out[have..].fill(0);
        if have == out.len() { ffi::SQLITE_OK } else { ffi::SQLITE_IOERR_SHORT_READ }
    }
}

unsafe fn change(file: *mut ffi::sqlite3_file, change: Change) -> c_int {
    // SAFETY: a file of ours.
    let (disk, path) = unsafe { parts(file) };
    let mut state = disk.state();
    if !state.powered() {
        return ffi::SQLITE_IOERR_WRITE;
    }
    let file = state.files.entry(path.clone()).or_default();
    change.apply(&mut file.current);
    file.pending.push(change);
    ffi::SQLITE_OK
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    data: *const c_void,
    count: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite gives `count` bytes.
    unsafe {
        let data = std::slice::from_raw_parts(data.cast::<u8>(), usize::try_from(count).unwrap());
        change(file, Change::Write(usize::try_from(at).unwrap(), data.to_vec()))
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: ffi::sqlite3_int64) -> c_int {
    // SAFETY: a file of ours.
    unsafe { change(file, Change::Truncate(usize::try_from(size).unwrap())) }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: a file of ours.
    let (disk, path) = unsafe { parts(file) };
    let mut state = disk.state();
    if !state.powered() {
        return ffi::SQLITE_IOERR_FSYNC;
    }
    let mut fails = false;
    if state.sync_failed {
        state.later_syncs += 1;
    } else if let Some(left) = &mut state.syncs_left {
        *left = left.saturating_sub(1);
        fails = *left == 0;
    }
    state.sync_failed |= fails;
    let file = state.files.entry(path.clone()).or_default();
    for change in file.pending.drain(..) {
        if !fails {
            change.apply(&mut file.durable);
        }
    }
    if fails { ffi::SQLITE_IOERR_FSYNC } else { ffi::SQLITE_OK }
}

unsafe extern "C" fn size(file: *mut ffi::sqlite3_file, out: *mut ffi::sqlite3_int64) -> c_int {
    // SAFETY: a place for the answer.
    unsafe {
        let (disk, path) = parts(file);
        *out = disk.state().files.get(path).map_or(0, |f| i64::try_from(f.current.len()).unwrap());
        ffi::SQLITE_OK
    }
}

/// Hands a call on to the platform's part of the file.
macro_rules! hand_on {
    ($name:ident, $method:ident, $($argument:ident: $kind:ty),*) => {
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file, $($argument: $kind),*) -> c_int {
            // SAFETY: handed on as it came, to the file that the platform opened.
            unsafe {
                let real = real(file);
                (*(*real).pMethods).$method.map_or(ffi::SQLITE_ERROR, |x| x(real, $($argument),*))
            }
        }
    };
}

hand_on!(lock, xLock, level: c_int);
hand_on!(unlock, xUnlock, level: c_int);
hand_on!(check_reserved, xCheckReservedLock, out: *mut c_int);
hand_on!(control, xFileControl, what: c_int, argument: *mut c_void);
hand_on!(sector_size, xSectorSize,);
hand_on!(characteristics, xDeviceCharacteristics,);
hand_on!(shm_map, xShmMap, page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void);
hand_on!(shm_lock, xShmLock, offset: c_int, count: c_int, flags: c_int);
hand_on!(shm_unmap, xShmUnmap, remove: c_int);

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: handed on as it came.
    unsafe {
        let real = real(file);
        if let Some(barrier) = (*(*real).pMethods).xShmBarrier {
            barrier(real);
        }
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
