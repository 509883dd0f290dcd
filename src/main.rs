//! The `lastwords` command.
fn main() {}
