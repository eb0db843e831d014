//! store

fn main() {}
