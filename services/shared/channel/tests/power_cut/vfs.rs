//! SQLite's own file layer with a [`Disk`] between: what is written, cut and synced passes by it, and fails where it says so. Locks,
//! shared memory and reading are the real layer's.
//!
//! After `test_vfstrace.c` of SQLite's sources; <https://sqlite.org/vfs.html> says what each method has to do.
#![allow(
    unsafe_code,
    reason = "SQLite's file layer is C's: each function below keeps that contract and nothing else is unsafe"
)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::{Arc, Once};

use rusqlite::ffi;

use crate::disk::{self, Disk, File};

/// The layer's name, as SQLite lists it.
const NAME: &CStr = c"power-cut";

/// What SQLite makes room for when it opens a file: our part, and behind it the real layer's.
#[repr(C)]
struct Opened {
    base: ffi::sqlite3_file,
    /// Made by `Box::into_raw`, taken back in `close`; null for a file that no disk is told of.
    tapped: *mut Tapped,
    real: ffi::sqlite3_file,
}

struct Tapped {
    disk: Arc<Disk>,
    file: File,
}

/// From now on every file that this process opens by SQLite passes by its disk.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the real layer's table is static; ours is leaked, so it lives as long.
        let result = unsafe {
            let real = ffi::sqlite3_vfs_find(ptr::null());
            let mut ours = *real;
            ours.pNext = ptr::null_mut();
            ours.zName = NAME.as_ptr();
            ours.pAppData = real.cast();
            ours.szOsFile += size_of::<Opened>() as c_int;
            ours.xOpen = Some(open);
            ours.xDelete = Some(delete);
            ours.xAccess = Some(access);
            ours.xFullPathname = Some(full_pathname);
            ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 1)
        };
        assert_eq!(result, ffi::SQLITE_OK);
    });
}

unsafe fn real(layer: *mut ffi::sqlite3_vfs) -> *mut ffi::sqlite3_vfs {
    // SAFETY: `install` put the real layer there.
    unsafe { (*layer).pAppData.cast() }
}

unsafe fn text<'a>(name: *const c_char) -> Option<&'a str> {
    // SAFETY: SQLite gives a C string, or null for a file of no name.
    (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_str().unwrap_or_default())
}

unsafe extern "C" fn open(
    layer: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    // SAFETY: `file` has room for `Opened` and the real layer's file behind it, as `szOsFile` asks.
    unsafe {
        let opened = file.cast::<Opened>();
        (*opened).base.pMethods = ptr::null();
        (*opened).tapped = ptr::null_mut();
        let tapped = match text(name).and_then(|path| Some((path, disk::of(path)?))) {
            Some((path, disk)) => match disk.open(path) {
                Ok(file) => Some(Tapped { disk, file }),
                Err(code) => return code,
            },
            None => None,
        };
        let real = real(layer);
        let Some(open) = (*real).xOpen else {
            return ffi::SQLITE_CANTOPEN;
        };
        let code = open(real, name, &raw mut (*opened).real, flags, flags_out);
        if code == ffi::SQLITE_OK {
            (*opened).base.pMethods = &METHODS;
            (*opened).tapped = tapped.map_or(ptr::null_mut(), |it| Box::into_raw(Box::new(it)));
        }
        code
    }
}

unsafe extern "C" fn delete(
    layer: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_directory: c_int,
) -> c_int {
    // SAFETY: as SQLite calls it.
    unsafe {
        let disk = text(name).and_then(|path| Some((path, disk::of(path)?)));
        if let Some((path, disk)) = disk
            && let Err(code) = disk.delete(path)
        {
            return code;
        }
        let real = real(layer);
        (*real)
            .xDelete
            .map_or(ffi::SQLITE_IOERR, |it| it(real, name, sync_directory))
    }
}

unsafe extern "C" fn access(
    layer: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: as SQLite calls it.
    unsafe {
        let real = real(layer);
        (*real)
            .xAccess
            .map_or(ffi::SQLITE_IOERR, |it| it(real, name, flags, out))
    }
}

unsafe extern "C" fn full_pathname(
    layer: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    bytes: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: as SQLite calls it.
    unsafe {
        let real = real(layer);
        (*real)
            .xFullPathname
            .map_or(ffi::SQLITE_IOERR, |it| it(real, name, bytes, out))
    }
}

/// The real file behind ours, and one of its methods called; an I/O error if it has none.
macro_rules! really {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        let real = &raw mut (*$file.cast::<Opened>()).real;
        match (*real).pMethods.as_ref().and_then(|methods| methods.$method) {
            Some(method) => method(real $(, $argument)*),
            None => ffi::SQLITE_IOERR,
        }
    }};
}

/// Asks the disk first; its refusal is the answer.
macro_rules! told {
    ($file:expr, |$disk:ident, $name:ident| $tell:expr) => {
        if let Some(Tapped {
            disk: $disk,
            file: $name,
        }) = (*$file.cast::<Opened>()).tapped.as_mut()
            && let Err(code) = $tell
        {
            return code;
        }
    };
}

// SAFETY of all of these: SQLite calls them with a file that `open` made and that `close` has not taken, and with buffers of the size
// that it says.

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe {
        let code = really!(file, xClose);
        let opened = file.cast::<Opened>();
        if !(*opened).tapped.is_null() {
            drop(Box::from_raw((*opened).tapped));
            (*opened).tapped = ptr::null_mut();
        }
        (*opened).base.pMethods = ptr::null();
        code
    }
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    buffer: *mut c_void,
    bytes: c_int,
    offset: i64,
) -> c_int {
    unsafe {
        told!(file, |disk, name| disk.read(name));
        really!(file, xRead, buffer, bytes, offset)
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    buffer: *const c_void,
    bytes: c_int,
    offset: i64,
) -> c_int {
    unsafe {
        let data = std::slice::from_raw_parts(buffer.cast::<u8>(), bytes.unsigned_abs() as usize);
        told!(file, |disk, name| disk.write(name, offset, data));
        really!(file, xWrite, buffer, bytes, offset)
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    unsafe {
        told!(file, |disk, name| disk.truncate(name, size));
        really!(file, xTruncate, size)
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    unsafe {
        told!(file, |disk, name| disk.sync(name));
        // The disk is what remembers; to really sync as well would only be slow.
        let _ = flags;
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    unsafe { really!(file, xFileSize, size) }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    unsafe { really!(file, xLock, level) }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    unsafe { really!(file, xUnlock, level) }
}

unsafe extern "C" fn check_reserved_lock(
    file: *mut ffi::sqlite3_file,
    reserved: *mut c_int,
) -> c_int {
    unsafe { really!(file, xCheckReservedLock, reserved) }
}

unsafe extern "C" fn file_control(
    file: *mut ffi::sqlite3_file,
    operation: c_int,
    argument: *mut c_void,
) -> c_int {
    unsafe { really!(file, xFileControl, operation, argument) }
}

unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    disk::SECTOR as c_int
}

unsafe extern "C" fn device_characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    // As the real layer says of a disk of which nothing is known: a write harms nothing beside it.
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    bytes: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    unsafe { really!(file, xShmMap, region, bytes, extend, out) }
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    unsafe { really!(file, xShmLock, offset, count, flags) }
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    unsafe {
        let real = &raw mut (*file.cast::<Opened>()).real;
        if let Some(barrier) = (*real).pMethods.as_ref().and_then(|it| it.xShmBarrier) {
            barrier(real);
        }
    }
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    unsafe { really!(file, xShmUnmap, delete) }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
