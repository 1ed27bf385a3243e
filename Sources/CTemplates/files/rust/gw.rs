//! The part of gw_handler.h 1.0 that this handler uses. Fields it does not use are there as room, so that the others
//! stand where the gateway expects them; the assertions at the end hold that against the header's own.
#![allow(dead_code)]

use std::ffi::{c_char, c_void};

pub type Status = i32;
pub type Conn = u64;

pub const OK: Status = 0;
pub const E_UNSUPPORTED: Status = -7;
pub const E_FAILED: Status = -11;
pub const ABI_VERSION: u32 = 1 << 16;
pub const TEXT: u32 = 1;
pub const BINARY: u32 = 2;
pub const LOG_ERROR: i32 = 4;

/// A view: `ptr` may be null where `len` is 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    pub ptr: *const u8,
    pub len: usize,
}

impl Bytes {
    /// # Safety
    /// Only within the callback that was given the view.
    pub unsafe fn bytes(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        std::slice::from_raw_parts(self.ptr, self.len)
    }
}

#[repr(C)]
pub struct Message {
    pub struct_size: u32,
    pub kind: u32,
    pub flags: u32,
    reserved0: u32,
    pub data: Bytes,
    pub buf: *mut c_void,
    pub received_ns: u64,
}

#[repr(C)]
pub struct Saved {
    pub struct_size: u32,
    pub state_version: u32,
    pub state_format: u64,
    pub generation: u64,
    pub data: Bytes,
}

/// What the gateway offers; one for each generation, never freed.
#[repr(C)]
pub struct Host {
    pub struct_size: u32,
    pub abi_version: u32,
    pub generation: u64,
    pub name: *const c_char,
    pub version: *const c_char,
    get_extension: usize,
    pub log: unsafe extern "C" fn(*const Host, Conn, i32, *const c_char, usize),
    now_ns_to_buf_bytes: [usize; 13],
    pub send: unsafe extern "C" fn(*const Host, Conn, u32, u32, *const c_void, usize) -> Status,
    send_buf_to_pong: [usize; 4],
    pub close: unsafe extern "C" fn(*const Host, Conn, u16, *const c_char, usize) -> Status,
    abort_to_conn_state: [usize; 4],
    pub conn_set_state: unsafe extern "C" fn(*const Host, Conn, *mut c_void) -> Status,
    conn_request_to_offload: [usize; 9],
    pub sink_write: unsafe extern "C" fn(*const Host, *mut c_void, *const c_void, usize) -> Status,
}

/// What a handler offers; `None` is the gateway's default.
#[repr(C)]
pub struct Handler {
    pub struct_size: u32,
    pub abi_version: u32,
    pub min_host_abi: u32,
    pub flags: u32,
    pub name: *const c_char,
    pub version: *const c_char,
    pub sdk: *const c_char,
    pub state_format: u64,
    pub state_version: u32,
    pub reserved0: u32,
    pub start: Option<unsafe extern "C" fn(*const Host, *const c_void, *mut *mut c_void) -> Status>,
    pub reconfigure_to_upgrade: [usize; 3],
    pub open: Option<unsafe extern "C" fn(*mut c_void, Conn, *mut c_void, *const c_void)>,
    pub message: Option<unsafe extern "C" fn(*mut c_void, Conn, *mut c_void, *const Message)>,
    pub fragment_to_error: [usize; 5],
    pub close: Option<unsafe extern "C" fn(*mut c_void, Conn, *mut c_void, *const c_void)>,
    pub http_to_restore_self: [usize; 5],
    pub save_conn: Option<unsafe extern "C" fn(*mut c_void, Conn, *mut c_void, *mut c_void) -> Status>,
    pub restore_conn: Option<
        unsafe extern "C" fn(*mut c_void, Conn, *const c_void, *const Saved, *mut *mut c_void) -> Status,
    >,
    pub drop_conn: Option<unsafe extern "C" fn(*mut c_void, Conn, *mut c_void)>,
    pub get_extension: usize,
}

// It holds pointers to constants only.
unsafe impl Sync for Handler {}

const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(size_of::<Message>() == 48 && size_of::<Saved>() == 40);
    assert!(size_of::<Host>() == 320 && size_of::<Handler>() == 224);
    assert!(offset_of!(Host, log) == 40 && offset_of!(Host, send) == 152 && offset_of!(Host, close) == 192);
    assert!(offset_of!(Host, conn_set_state) == 232 && offset_of!(Host, sink_write) == 312);
    assert!(offset_of!(Handler, start) == 56 && offset_of!(Handler, open) == 88);
    assert!(offset_of!(Handler, close) == 144 && offset_of!(Handler, save_conn) == 192);
};
