//! End to end.

#[test]
fn the_workspace_builds() {}
