//! op
fn main() {}
