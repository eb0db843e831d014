//! The wrapper that `make test` runs the tests in.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::time::Duration;

use kit::Process;
use kit::process::Spec;

const SOON: Duration = Duration::from_secs(30);

fn wrapper(folder: &Path, script: &str) -> Process {
    let wrapper = Spec::new("wrapper", env!("CARGO_BIN_EXE_with-postgres"), folder).env("TMPDIR", folder.display());
    wrapper.arg("--").arg("/bin/sh").arg("-c").arg(script).spawn().unwrap()
}

/// The folders of clusters under `folder`.
fn clusters(folder: &Path) -> usize {
    let entries = folder.read_dir().unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("kit-pg-")).count()
}

/// A folder that the user who runs PostgreSQL can look into.
fn folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap()
}

#[tokio::test]
async fn the_command_finds_a_server_and_its_exit_code_is_passed_on() {
    let folder = folder();
    let mut wrapper = wrapper(folder.path(), "echo $REQUIRE_POSTGRES $TEST_POSTGRES_URL; exit 7");
    assert_eq!(wrapper.ended(SOON).await.unwrap().code(), Some(7));
    assert!(wrapper.log().starts_with("1 postgres://"), "{}", wrapper.log());
    assert_eq!(clusters(folder.path()), 0);
}

#[tokio::test]
async fn nothing_is_left_when_it_is_terminated() {
    let folder = folder();
    let mut wrapper = wrapper(folder.path(), "echo up; exec sleep 600");
    wrapper.printed("up", SOON).await.unwrap();
    wrapper.terminate().unwrap();
    assert!(!wrapper.ended(SOON).await.unwrap().success());
    assert_eq!(clusters(folder.path()), 0);
}

#[tokio::test]
async fn nothing_is_left_when_it_is_killed() {
    let folder = folder();
    let mut wrapper = wrapper(folder.path(), "echo up; echo $$ > command; exec sleep 600");
    wrapper.printed("up", SOON).await.unwrap();
    let pid_file = std::fs::read_dir(folder.path()).unwrap().find_map(|entry| {
        let path = entry.unwrap().path().join("data/postmaster.pid");
        path.is_file().then(|| std::fs::read_to_string(path).unwrap())
    });
    let server = format!("/proc/{}", pid_file.unwrap().lines().next().unwrap());
    wrapper.kill().unwrap();
    kit::until("the guardian has cleaned up", SOON, async || {
        let left = (clusters(folder.path()), Path::new(&server).exists());
        if left == (0, false) { Ok(()) } else { Err(format!("{left:?} are left")) }
    })
    .await;
    let command = std::fs::read_to_string(folder.path().join("command")).unwrap().trim().parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(command).unwrap(), rustix::process::Signal::KILL)
        .unwrap();
}
