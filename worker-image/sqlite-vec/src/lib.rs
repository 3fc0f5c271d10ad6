//! Registers the sqlite-vec extension with SQLite: the one place of the project that needs unsafe code. No I/O.

use std::ffi::{c_char, c_int};

use rusqlite::{auto_extension, ffi};

// The sqlite-vec crate declares its entry point without arguments, which would have to be transmuted on use.
// This is the signature that the linked C function has: https://sqlite.org/loadext.html
#[allow(clashing_extern_declarations)]
unsafe extern "C" {
    fn sqlite3_vec_init(
        database: *mut ffi::sqlite3,
        error: *mut *mut c_char,
        api: *const ffi::sqlite3_api_routines,
    ) -> c_int;
}

/// Gives every SQLite connection that this process opens from now on the functions and virtual tables of sqlite-vec.
/// Calling it again changes nothing.
///
/// # Errors
/// If SQLite has no memory for the registration.
pub fn register() -> rusqlite::Result<()> {
    // keeps the linker from dropping the library that holds the entry point
    let _linked: unsafe extern "C" fn() = sqlite_vec::sqlite3_vec_init;
    // SAFETY: the function has the signature of an extension's entry point, is statically linked, and so lives as
    // long as the process; it neither closes the connection that it is given nor changes the list of extensions.
    unsafe { auto_extension::register_auto_extension(sqlite3_vec_init) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_new_connection_knows_the_extension() {
        super::register().unwrap();
        super::register().unwrap();
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        let version: String = connection.query_row("select vec_version()", [], |row| row.get(0)).unwrap();
        assert!(version.starts_with('v'), "{version}");
    }
}
