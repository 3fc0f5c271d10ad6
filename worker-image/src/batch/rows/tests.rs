//! Readers of every format on the same texts, and on every kind of row that cannot be read.
