//! Registers sqlite-vec with SQLite. No I/O.
