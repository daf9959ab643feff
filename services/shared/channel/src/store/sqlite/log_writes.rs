//! SQLite's file layer, in which what goes to the log of a store goes there in few writes.
//!
//! SQLite writes each page of a commit to its log by two system calls, one for a header of 24 bytes; all of them follow each other in the
//! file. Here they are kept until there are [`MOST`] bytes of them, or until somebody may look: at the sync that a commit is durable
//! with, a reading, or the end. What was not synced is not committed, and no other connection looks for it: with `synchronous=FULL`
//! the log's index, by which it is found, is written after the sync.
//!
//! All other files are the real layer's own. <https://sqlite.org/vfs.html> says what each method has to do.
#![expect(
    unsafe_code,
    reason = "SQLite's file layer is C's: each function below keeps that contract and nothing else is unsafe"
)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use rusqlite::ffi;

/// The layer's name, as SQLite lists it.
const NAME: &CStr = c"duet";

/// How many bytes are kept at most.
const MOST: usize = 64 * 1024;

/// The layer under ours, which lives as long as the process.
struct Real(*mut ffi::sqlite3_vfs);

// SAFETY: it is only read, and SQLite itself calls it from all threads.
unsafe impl Send for Real {}
// SAFETY: as above.
unsafe impl Sync for Real {}

static REAL: OnceLock<Result<Real, c_int>> = OnceLock::new();

/// The layer's name, for opening a connection; the layer is made at the first call, over what is then the default one.
///
/// # Errors
/// SQLite's code, if it takes no layer more.
pub(super) fn layer() -> Result<&'static CStr, rusqlite::Error> {
    let registered = REAL.get_or_init(|| {
        // SAFETY: the real layer's table lives as long as the process; ours is leaked, so it does too. But for opening, ours is a copy: its
        // methods find what they need in `pAppData`, as the real layer's do.
        let (code, real) = unsafe {
            let real = ffi::sqlite3_vfs_find(ptr::null());
            if real.is_null() {
                return Err(ffi::SQLITE_ERROR);
            }
            let mut ours = *real;
            ours.pNext = ptr::null_mut();
            ours.zName = NAME.as_ptr();
            ours.szOsFile += size_of::<Opened>() as c_int;
            ours.xOpen = Some(open);
            let ours = Box::leak(Box::new(ours));
            (ffi::sqlite3_vfs_register(ours, 0), real)
        };
        match code {
            ffi::SQLITE_OK => Ok(Real(real)),
            code => Err(code),
        }
    });
    match registered {
        Ok(_) => Ok(NAME),
        Err(code) => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(*code), None)),
    }
}

/// What SQLite makes room for when it opens a log: our part, and behind it the real layer's.
#[repr(C)]
struct Opened {
    base: ffi::sqlite3_file,
    /// Made by `Box::into_raw`, taken back in `close`.
    kept: *mut Kept,
    real: ffi::sqlite3_file,
}

/// What was written and is not yet handed on: all of it follows each other in the file.
#[derive(Default)]
struct Kept {
    at: i64,
    bytes: Vec<u8>,
}

impl Kept {
    /// Keeps some more; gives it back if it is no continuation, or too much.
    fn take(&mut self, data: &[u8], at: i64) -> bool {
        if self.bytes.is_empty() {
            self.bytes.reserve_exact(MOST);
            self.at = at;
        }
        let end = i64::try_from(self.bytes.len()).map(|length| self.at.saturating_add(length));
        let fits = end == Ok(at) && data.len() <= MOST - self.bytes.len();
        if fits {
            self.bytes.extend_from_slice(data);
        }
        fits
    }
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    // SAFETY: `file` has room for `Opened` and the real layer's file behind it, as `szOsFile` asks.
    unsafe {
        (*file).pMethods = ptr::null();
        let Some(Ok(Real(real))) = REAL.get() else {
            return ffi::SQLITE_CANTOPEN;
        };
        let Some(open) = (**real).xOpen else {
            return ffi::SQLITE_CANTOPEN;
        };
        if flags & ffi::SQLITE_OPEN_WAL == 0 {
            return open(*real, name, file, flags, flags_out);
        }
        let opened = file.cast::<Opened>();
        let code = open(*real, name, &raw mut (*opened).real, flags, flags_out);
        if code == ffi::SQLITE_OK {
            (*opened).base.pMethods = &METHODS;
            (*opened).kept = Box::into_raw(Box::default());
        }
        code
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

/// Methods that are the real file's: `at_once`, or `after` what is kept was handed on, which is the answer if it could not be.
macro_rules! methods {
    ($(at_once $name:ident: $method:ident($($argument:ident: $of:ty),*);)+) => {
        $(unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $argument: $of)*) -> c_int {
            unsafe { really!(file, $method $(, $argument)*) }
        })+
    };
    ($(after $name:ident: $method:ident($($argument:ident: $of:ty),*);)+) => {
        $(unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $argument: $of)*) -> c_int {
            unsafe {
                match hand_on(file) {
                    ffi::SQLITE_OK => really!(file, $method $(, $argument)*),
                    code => code,
                }
            }
        })+
    };
}

// SAFETY of all of these: SQLite calls them with a log that `open` made and that `close` has not taken, by one thread at a time, and with
// buffers of the size that it says.

/// What can't be written is dropped: SQLite is told, and writes it anew or not at all.
unsafe fn hand_on(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe {
        let kept = &mut *(*file.cast::<Opened>()).kept;
        if kept.bytes.is_empty() {
            return ffi::SQLITE_OK;
        }
        // It is at most `MOST`.
        let length = kept.bytes.len() as c_int;
        let code = really!(file, xWrite, kept.bytes.as_ptr().cast(), length, kept.at);
        kept.bytes.clear();
        code
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
        let kept = (*file.cast::<Opened>()).kept;
        if (*kept).take(data, offset) {
            return ffi::SQLITE_OK;
        }
        match hand_on(file) {
            ffi::SQLITE_OK if (*kept).take(data, offset) => ffi::SQLITE_OK,
            ffi::SQLITE_OK => really!(file, xWrite, buffer, bytes, offset),
            code => code,
        }
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe {
        let handed_on = hand_on(file);
        let opened = file.cast::<Opened>();
        drop(Box::from_raw((*opened).kept));
        let code = really!(file, xClose);
        (*opened).base.pMethods = ptr::null();
        c_int::max(handed_on, code)
    }
}

methods! {
    after read: xRead(buffer: *mut c_void, bytes: c_int, offset: i64);
    after truncate: xTruncate(size: i64);
    after sync: xSync(flags: c_int);
    after file_size: xFileSize(size: *mut i64);
    after file_control: xFileControl(operation: c_int, argument: *mut c_void);
}

methods! {
    at_once lock: xLock(level: c_int);
    at_once unlock: xUnlock(level: c_int);
    at_once check_reserved_lock: xCheckReservedLock(reserved: *mut c_int);
    at_once sector_size: xSectorSize();
    at_once device_characteristics: xDeviceCharacteristics();
}

/// A log is not shared memory and not mapped: SQLite asks for neither.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 1,
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
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};
