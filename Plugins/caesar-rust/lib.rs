//! A handler in Rust, with nothing but rustc: shifts the letters of every text, as many places as `set shift 3` says.
//!
//!     rustc --edition 2021 -O --crate-type cdylib -o Plugins/caesar-rust.so Plugins/caesar-rust/lib.rs
//!
//! The structs are those of gw_handler.h, as far as they are used; what is not used is skipped as so many pointers.
//! No panic leaves a callback (rule R4): `guarded` turns it into a status, so this must not be built with
//! `-C panic=abort`, which would end the gateway.
use std::ffi::{c_char, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicPtr, Ordering};

type Status = i32;
const OK: Status = 0;
const FAILED: Status = -11;
const TEXT: u32 = 1;
const STATELESS: u32 = 16;
const LOG_ERROR: i32 = 4;

#[repr(C)]
pub struct View {
    ptr: *const u8,
    len: usize,
}

#[repr(C)]
pub struct Message {
    struct_size: u32,
    kind: u32,
    flags: u32,
    reserved0: u32,
    data: View,
}

#[repr(C)]
pub struct Host {
    struct_size: u32,
    abi_version: u32,
    generation: u64,
    name: *const c_char,
    version: *const c_char,
    get_extension: *const c_void,
    log: unsafe extern "C" fn(*const Host, u64, i32, *const u8, usize),
    now_ns: *const c_void,
    fail: unsafe extern "C" fn(*const Host, *const u8, usize),
    config_get: unsafe extern "C" fn(*const Host, *const c_void, *const c_char, *mut View) -> Status,
    requests: [*const c_void; 5],
    buffers: [*const c_void; 5],
    send: unsafe extern "C" fn(*const Host, u64, u32, u32, *const u8, usize) -> Status,
    send_others: [*const c_void; 4],
    close: unsafe extern "C" fn(*const Host, u64, u16, *const u8, usize) -> Status,
}

#[repr(C)]
pub struct Handler {
    struct_size: u32,
    abi_version: u32,
    min_host_abi: u32,
    flags: u32,
    name: *const c_char,
    version: *const c_char,
    sdk: *const c_char,
    state_format: u64,
    state_version: u32,
    reserved0: u32,
    start: unsafe extern "C" fn(*const Host, *const c_void, *mut *mut Caesar) -> Status,
    reconfigure: *const c_void,
    stop: unsafe extern "C" fn(*mut Caesar),
    upgrade: *const c_void,
    open: *const c_void,
    message: unsafe extern "C" fn(*mut Caesar, u64, *mut c_void, *const Message),
}

// The table is written once, by the compiler, and holds pointers to constants only.
unsafe impl Sync for Handler {}

/// What serves one route; shared by all its connections, so nothing in it changes.
pub struct Caesar {
    shift: u8,
}

impl Caesar {
    fn shifted(&self, byte: u8) -> u8 {
        match byte {
            b'a'..=b'z' => (byte - b'a' + self.shift) % 26 + b'a',
            b'A'..=b'Z' => (byte - b'A' + self.shift) % 26 + b'A',
            _ => byte,
        }
    }
}

static HOST: AtomicPtr<Host> = AtomicPtr::new(std::ptr::null_mut());

/// The table the gateway gave us: it stays where it is as long as this image is loaded.
fn host() -> &'static Host {
    unsafe { &*HOST.load(Ordering::Acquire) }
}

fn guarded(body: impl FnOnce() -> Status) -> Status {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(FAILED)
}

unsafe extern "C" fn start(host: *const Host, config: *const c_void, this: *mut *mut Caesar) -> Status {
    guarded(|| {
        let mut found = View { ptr: std::ptr::null(), len: 0 };
        let status = unsafe { ((*host).config_get)(host, config, c"shift".as_ptr(), &mut found) };
        let text = if status == OK { unsafe { bytes(&found) } } else { b"13" };
        let shift = std::str::from_utf8(text).ok().and_then(|text| text.parse::<u8>().ok()).filter(|shift| *shift < 26);
        let Some(shift) = shift else {
            let why = b"set shift: 0 to 25";
            unsafe { ((*host).fail)(host, why.as_ptr(), why.len()) };
            return FAILED;
        };
        unsafe { *this = Box::into_raw(Box::new(Caesar { shift })) };
        OK
    })
}

unsafe extern "C" fn stop(this: *mut Caesar) {
    drop(unsafe { Box::from_raw(this) });
}

unsafe extern "C" fn message(this: *mut Caesar, conn: u64, _state: *mut c_void, message: *const Message) {
    let (this, message) = unsafe { (&*this, &*message) };
    let status = guarded(|| {
        let bytes = unsafe { bytes(&message.data) };
        // RFC 6455 7.4.1: 1003 for a type of data that cannot be accepted.
        if message.kind != TEXT {
            return unsafe { (host().close)(host(), conn, 1003, std::ptr::null(), 0) };
        }
        // Only ASCII changes, so text stays UTF-8. A connection that closes meanwhile needs no answer.
        let answer: Vec<u8> = bytes.iter().map(|byte| this.shifted(*byte)).collect();
        unsafe { (host().send)(host(), conn, TEXT, 0, answer.as_ptr(), answer.len()) };
        OK
    });
    if status == FAILED {
        let what = b"message panicked";
        unsafe { (host().log)(host(), conn, LOG_ERROR, what.as_ptr(), what.len()) };
        unsafe { (host().close)(host(), conn, 1011, std::ptr::null(), 0) };
    }
}

/// Lends what a view points at; never null, which Rust does not allow even for nothing.
unsafe fn bytes<'a>(view: &View) -> &'a [u8] {
    if view.len == 0 {
        return &[];
    }
    unsafe { std::slice::from_raw_parts(view.ptr, view.len) }
}

static TABLE: Handler = Handler {
    struct_size: size_of::<Handler>() as u32,
    abi_version: 1 << 16,
    min_host_abi: 1 << 16,
    flags: STATELESS,
    name: c"caesar-rust".as_ptr(),
    version: c"1.0".as_ptr(),
    sdk: c"rust".as_ptr(),
    state_format: 0,
    state_version: 0,
    reserved0: 0,
    start,
    reconfigure: std::ptr::null(),
    stop,
    upgrade: std::ptr::null(),
    open: std::ptr::null(),
    message,
};

#[no_mangle]
pub extern "C" fn gw_handler_entry_v1(host: *const Host) -> *const Handler {
    HOST.store(host.cast_mut(), Ordering::Release);
    &TABLE
}
