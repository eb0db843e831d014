//! A program under test in a process of its own: started, killed, paused, started again, its output kept in a file.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

const POLL: Duration = Duration::from_millis(10);
/// What a program under test sees of the environment of the test; the rest would make a run depend on the machine.
const INHERITED: [&str; 6] = ["HOME", "LLVM_PROFILE_FILE", "PATH", "RUST_BACKTRACE", "RUST_LOG", "TMPDIR"];

/// The guardian of process `$0`: its input ends without a word only when we are gone without having seen to it.
const GUARD: &str = "read -r _ || kill -KILL $0";

/// How a process is started, and started again.
#[derive(Debug, Clone)]
pub struct Spec {
    name: String,
    program: PathBuf,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    folder: PathBuf,
}

impl Spec {
    /// A program by the path of its executable. It works in `folder`, where its output goes to `<name>.log`.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>, folder: impl Into<PathBuf>) -> Self {
        let (args, env) = (Vec::new(), BTreeMap::new());
        Self { name: name.into(), program: program.into(), args, env, folder: folder.into() }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets a variable of the environment, which is otherwise all but empty.
    pub fn env(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.env.insert(name.into(), value.to_string());
        self
    }

    /// Starts it.
    pub fn spawn(self) -> Result<Process> {
        let child = self.start()?;
        let guardian = Some(Guardian::of(&child)?);
        Ok(Process { spec: self, child, guardian })
    }

    fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    fn start(&self) -> Result<Child> {
        let log = OpenOptions::new().create(true).append(true).open(self.log())?;
        let inherited = INHERITED.iter().filter_map(|name| Some((*name, env::var_os(name)?)));
        Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .envs(inherited)
            .envs(&self.env)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", self.program.display()))
    }
}

/// Kills a process when this one has died.
#[derive(Debug)]
struct Guardian(Child);

impl Guardian {
    fn of(child: &Child) -> Result<Self> {
        let mut guardian = Command::new("/bin/sh");
        guardian.args(["-c", GUARD, &child.id().to_string()]).current_dir("/").process_group(0); // what kills us must not reach it
        guardian.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(guardian.spawn().context("starting /bin/sh")?))
    }

    /// The process has ended: its id may be another's by now.
    fn dismiss(mut self) {
        if let Some(mut input) = self.0.stdin.take() {
            let _ = input.write_all(b"done\n");
        }
        let _ = self.0.wait();
    }
}

/// A process that was started. Dropping it kills it, and it does not outlive us however we end; while a test is failing, the end of its log goes to stderr first.
#[derive(Debug)]
pub struct Process {
    spec: Spec,
    child: Child,
    guardian: Option<Guardian>,
}

impl Process {
    /// The id of the running process, or of the one that ended.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.status(), Ok(None))
    }

    fn status(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            self.guardian.take().into_iter().for_each(Guardian::dismiss);
        }
        Ok(status)
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?; // also ends a paused one; fine when it has ended
        self.child.wait()?;
        self.status()?;
        Ok(())
    }

    /// Asks it to end with SIGTERM.
    pub fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Interrupts it with SIGINT, as Ctrl-C does.
    pub fn interrupt(&mut self) -> Result<()> {
        self.signal(Signal::INT)
    }

    /// Stops it with SIGSTOP: its connections stay open and answer nothing.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a paused one go on.
    pub fn resume(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Waits for its end.
    pub async fn ended(&mut self, within: Duration) -> Result<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.status()? {
                return Ok(status);
            }
            ensure!(started.elapsed() < within, "{} has not ended within {within:?}", self.spec.name);
            tokio::time::sleep(POLL).await;
        }
    }

    /// Starts it again, after its end, with the same arguments and environment, its log going on.
    pub fn start_again(&mut self) -> Result<()> {
        ensure!(!self.is_running(), "{} is still running", self.spec.name);
        self.child = self.spec.start()?;
        self.guardian = Some(Guardian::of(&self.child)?);
        Ok(())
    }

    /// Sets a variable for the next start.
    pub fn set_env(&mut self, name: impl Into<String>, value: impl ToString) {
        self.spec.env.insert(name.into(), value.to_string());
    }

    /// All it has printed, over all its starts.
    pub fn log(&self) -> String {
        fs::read(self.spec.log()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Waits for a line that contains `text`, and returns it.
    pub async fn printed(&mut self, text: &str, within: Duration) -> Result<String> {
        let started = Instant::now();
        loop {
            let running = self.is_running();
            if let Some(line) = self.log().lines().find(|line| line.contains(text)) {
                return Ok(line.to_owned());
            }
            if !running || started.elapsed() > within {
                bail!(
                    "{} printed no {text:?}{}:\n{}",
                    self.spec.name,
                    if running { "" } else { " and ended" },
                    self.log()
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until GET `url` answers 2xx; an error at once when the process ends.
    pub async fn answers(&mut self, url: &str, within: Duration) -> Result<()> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?;
        let started = Instant::now();
        loop {
            let last = match client.get(url).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => answer.status().to_string(),
                Err(error) => error.to_string(),
            };
            ensure!(self.is_running(), "{} ended before it was ready:\n{}", self.spec.name, tail(&self.log()));
            ensure!(started.elapsed() < within, "{url} is not ready: {last}:\n{}", tail(&self.log()));
            tokio::time::sleep(POLL).await;
        }
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        ensure!(self.is_running(), "{} has ended", self.spec.name); // its id may be another's by now
        send(&self.child, signal)
    }
}

impl Drop for Process {
    #[allow(clippy::print_stderr, reason = "the log of a failing test is its best explanation")]
    fn drop(&mut self) {
        let _ = self.kill();
        if thread::panicking() {
            eprintln!("--- the end of {}.log\n{}", self.spec.name, tail(&self.log()));
        }
    }
}

pub(crate) fn send(child: &Child, signal: Signal) -> Result<()> {
    Ok(kill_process(Pid::from_child(child), signal)?)
}

/// The last lines of a log.
pub(crate) fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(80)..].join("\n")
}

/// A program built beside the running test executable, in the same profile.
///
/// # Errors
/// When it is not there; `build` is the command that would make it.
pub fn built(name: &str, beside: impl AsRef<Path>, build: &str) -> Result<PathBuf> {
    let path = beside.as_ref().with_file_name(format!("{name}{}", env::consts::EXE_SUFFIX));
    ensure!(path.is_file(), "{} is missing: run `{build}`", path.display());
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(folder: &tempfile::TempDir, script: &str) -> Process {
        Spec::new("script", "/bin/sh", folder.path()).arg("-c").arg(script).env("WORD", "first").spawn().unwrap()
    }

    #[tokio::test]
    async fn keeps_the_output_of_every_start_and_sees_only_the_environment_it_was_given() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell(&folder, "echo out $WORD; echo err ${CARGO_MANIFEST_DIR-none} >&2");
        assert!(process.ended(SOON).await.unwrap().success());
        process.set_env("WORD", "second");
        process.start_again().unwrap();
        assert_eq!(process.printed("second", SOON).await.unwrap(), "out second");
        process.ended(SOON).await.unwrap();
        assert_eq!(process.log(), "out first\nerr none\nout second\nerr none\n");
        assert!(process.printed("third", SOON).await.unwrap_err().to_string().contains("and ended"));
    }

    #[tokio::test]
    async fn a_process_is_asked_to_end_or_killed() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell(&folder, "trap 'echo asked; exit 3' TERM; echo up; while :; do sleep 0.05; done");
        process.printed("up", SOON).await.unwrap();
        assert!(process.start_again().is_err(), "two at once");
        process.terminate().unwrap();
        assert_eq!(process.ended(SOON).await.unwrap().code(), Some(3));
        assert!(process.terminate().is_err(), "no signal to an id that may be another's");

        process.start_again().unwrap();
        process.kill().unwrap();
        assert_eq!(process.ended(SOON).await.unwrap().signal(), Some(9));
    }

    #[tokio::test]
    async fn a_paused_process_does_nothing_until_it_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell(&folder, "while :; do echo tick; sleep 0.01; done");
        process.printed("tick", SOON).await.unwrap();
        process.pause().unwrap();
        let state = || fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
        crate::until("it is stopped", SOON, async || state().contains(") T").then_some(()).ok_or_else(state)).await;
        let paused_at = process.log().len();
        tokio::time::sleep(Duration::from_millis(100)).await; // the absence of output has no signal to wait for
        assert_eq!(process.log().len(), paused_at);
        process.resume().unwrap();
        crate::until("it goes on", SOON, async || {
            (process.log().len() > paused_at).then_some(()).ok_or_else(|| "silent".into())
        })
        .await;
    }

    #[tokio::test]
    async fn waiting_for_a_server_that_dies_ends_at_once_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let port = crate::Port::reserve().unwrap();
        let mut process = shell(&folder, "echo no database; exit 1");
        let url = format!("http://{}", port.address());
        assert!(process.answers(&url, SOON).await.unwrap_err().to_string().contains("no database"));
    }

    /// Runs as the process that dies, when the test below starts it.
    #[tokio::test]
    async fn starts_a_process_and_aborts() {
        let Ok(folder) = env::var("ABORTS_IN") else { return };
        let mut process =
            Spec::new("orphan", "/bin/sh", folder).arg("-c").arg("echo up $$; exec sleep 600").spawn().unwrap();
        process.printed("up", SOON).await.unwrap();
        std::process::abort();
    }

    #[tokio::test]
    async fn nothing_outlives_a_test_that_dies() {
        let folder = tempfile::tempdir().unwrap();
        let test = ["--exact", "process::tests::starts_a_process_and_aborts"];
        let died =
            Command::new(env::current_exe().unwrap()).args(test).env("ABORTS_IN", folder.path()).output().unwrap();
        assert_eq!(died.status.signal(), Some(6));
        let log = fs::read_to_string(folder.path().join("orphan.log")).unwrap();
        let orphan = format!("/proc/{}/cmdline", log.trim().trim_start_matches("up "));
        crate::until("the orphan is gone", SOON, async || {
            let command = fs::read_to_string(&orphan).unwrap_or_default(); // empty once it has ended, though nobody waited for it
            if command.is_empty() { Ok(()) } else { Err(command) }
        })
        .await;
    }

    #[test]
    fn a_missing_program_is_named_with_the_command_that_builds_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = built("store", folder.path().join("it"), "cargo build --bins").unwrap_err().to_string();
        assert!(error.ends_with("store is missing: run `cargo build --bins`"), "{error}");
    }
}
