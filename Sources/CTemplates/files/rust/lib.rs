//! Answers each text message with its number on the connection; a newer build takes the numbers over.
//! gw_handler.h says what every callback may do, and on which thread it is called.

mod gw;

use std::ffi::{c_char, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Of this generation: a reload loads a new image beside this one, with variables of its own.
static HOST: AtomicPtr<gw::Host> = AtomicPtr::new(null_mut());

fn host() -> &'static gw::Host {
    // Set by the entry function before any callback, and never freed by the gateway.
    unsafe { &*HOST.load(Ordering::Relaxed) }
}

/// One connection, as far as this handler talks to it.
#[derive(Clone, Copy)]
struct Connection(gw::Conn);

impl Connection {
    /// What comes back is left alone: a connection that is gone needs no answer, and `slow_consumer` in gateway.conf
    /// says what becomes of a client that does not read.
    fn send(self, text: &str) {
        unsafe { (host().send)(host(), self.0, gw::TEXT, 0, text.as_ptr().cast(), text.len()) };
    }

    fn close(self, code: u16, why: &str) {
        unsafe { (host().close)(host(), self.0, code, why.as_ptr().cast(), why.len()) };
    }

    fn log(self, text: &str) {
        unsafe { (host().log)(host(), self.0, gw::LOG_ERROR, text.as_ptr().cast(), text.len()) };
    }
}

/// What is kept per connection: made in open() or restore(), freed in closed() or dropped().
#[derive(Default)]
struct Visitor {
    count: u64,
}

impl Visitor {
    fn hear(&mut self, connection: Connection, message: &gw::Message) {
        // Text is valid UTF-8 before it gets here.
        let text = match message.kind {
            gw::TEXT => std::str::from_utf8(unsafe { message.data.bytes() }).unwrap_or_default(),
            _ => return connection.close(1003, "text only"),
        };
        self.count += 1;
        connection.send(&format!("{}: {}", self.count, text));
    }
}

/// No panic may cross into the gateway: it ends this connection and is a line of the log.
fn guarded(connection: Connection, body: impl FnOnce() -> gw::Status) -> gw::Status {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        connection.log("a callback panicked");
        connection.close(1011, "");
        gw::E_FAILED
    })
}

unsafe extern "C" fn start(_: *const gw::Host, _: *const c_void, instance: *mut *mut c_void) -> gw::Status {
    *instance = null_mut();
    gw::OK
}

unsafe extern "C" fn open(_: *mut c_void, conn: gw::Conn, _: *mut c_void, _: *const c_void) {
    guarded(Connection(conn), || {
        let visitor = Box::into_raw(Box::<Visitor>::default());
        let status = (host().conn_set_state)(host(), conn, visitor.cast());
        if status < 0 {
            drop(Box::from_raw(visitor));
            Connection(conn).close(1011, "");
        }
        status
    });
}

unsafe extern "C" fn message(_: *mut c_void, conn: gw::Conn, state: *mut c_void, message: *const gw::Message) {
    guarded(Connection(conn), || {
        if let Some(visitor) = state.cast::<Visitor>().as_mut() {
            visitor.hear(Connection(conn), &*message);
        }
        gw::OK
    });
}

unsafe extern "C" fn closed(_: *mut c_void, _: gw::Conn, state: *mut c_void, _: *const c_void) {
    free(state);
}

// ---- A reload: the old generation writes what it knows of a connection, the new one reads it, the old one frees it.

unsafe extern "C" fn save(_: *mut c_void, _: gw::Conn, state: *mut c_void, sink: *mut c_void) -> gw::Status {
    match state.cast::<Visitor>().as_ref() {
        Some(visitor) => {
            let bytes = visitor.count.to_le_bytes();
            (host().sink_write)(host(), sink, bytes.as_ptr().cast(), bytes.len())
        }
        None => gw::E_FAILED,
    }
}

unsafe extern "C" fn restore(
    _: *mut c_void, _: gw::Conn, _: *const c_void, saved: *const gw::Saved, state: *mut *mut c_void,
) -> gw::Status {
    match <[u8; 8]>::try_from((*saved).data.bytes()) {
        Ok(bytes) if (*saved).state_version == 1 => {
            let visitor = Visitor { count: u64::from_le_bytes(bytes) };
            *state = Box::into_raw(Box::new(visitor)).cast();
            gw::OK
        }
        // The connection stays with the generation it has.
        _ => gw::E_UNSUPPORTED,
    }
}

unsafe extern "C" fn dropped(_: *mut c_void, _: gw::Conn, state: *mut c_void) {
    free(state);
}

unsafe fn free(state: *mut c_void) {
    if !state.is_null() {
        drop(Box::from_raw(state.cast::<Visitor>()));
    }
}

static HANDLER: gw::Handler = gw::Handler {
    struct_size: std::mem::size_of::<gw::Handler>() as u32,
    abi_version: gw::ABI_VERSION,
    min_host_abi: 0x10000, // 1.0: nothing newer is used
    flags: 0,              // thread-locals of Rust would dangle in an unloaded image: it stays mapped
    name: c"@NAME@".as_ptr(),
    version: c"0.1.0".as_ptr(),
    sdk: c"rust".as_ptr() as *const c_char,
    state_format: 0x@FORMAT@, // builds with the same number hand connections over to each other
    state_version: 1,         // of what save() writes: raise it when that changes, and read the older one, too
    reserved0: 0,
    start: Some(start),
    reconfigure_to_upgrade: [0; 3],
    open: Some(open),
    message: Some(message),
    fragment_to_error: [0; 5],
    close: Some(closed),
    http_to_restore_self: [0; 5],
    save_conn: Some(save),
    restore_conn: Some(restore),
    drop_conn: Some(dropped),
    get_extension: 0,
};

#[no_mangle]
pub extern "C" fn gw_handler_entry_v1(offered: *const gw::Host) -> *const gw::Handler {
    HOST.store(offered.cast_mut(), Ordering::Relaxed);
    &HANDLER
}
