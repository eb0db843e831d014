//! warehouse

fn main() {}
