//! The command line of the migrations: `migrate store|warehouse up|down|status|fresh|generate NAME`, on the database of `DATABASE_URL`,
//! or of `DB_HOST`, `DB_PORT`, `DB_USERNAME`, `DB_PASSWORD` and `DB_DATABASE`, which a service reads too.
#![allow(clippy::print_stdout, reason = "a command line answers on standard output")]

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use chrono::Utc;
use clap::{Parser, Subcommand, ValueEnum};
use migrations::lock::{KEY, file_beside};
use migrations::{MigratorTrait, store, warehouse};
use sea_orm_migration::MigrationStatus;
use sea_orm_migration::sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement,
};

/// What PostgreSQL shows it as, and a service that finds the database locked.
const NAME: &str = "migrate";

#[derive(Parser)]
#[command(about = "Moves the schema of a bookstore database")]
struct Arguments {
    /// Whose schema.
    service: Service,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, ValueEnum)]
enum Service {
    Store,
    Warehouse,
}

impl Service {
    fn folder(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Warehouse => "warehouse",
        }
    }
}

#[derive(Subcommand)]
enum Command {
    /// Applies what is pending.
    Up,
    /// Takes back the latest migrations.
    Down {
        /// How many.
        #[arg(default_value_t = 1)]
        steps: u32,
    },
    /// Lists migrations and whether each is applied.
    Status,
    /// Drops every table, then applies everything. All data is lost.
    Fresh,
    /// Writes the file of a new migration and enters it in the list. Run it in the workspace's root.
    Generate {
        /// What it does, in snake case.
        name: String,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Arguments { service, command } = Arguments::parse();
    if let Command::Generate { name } = command {
        let folder = Path::new("migrations/src").join(service.folder());
        #[expect(clippy::disallowed_methods, reason = "a person names a migration by today's date")]
        let file = generate(&folder, &name, &Utc::now().format("%Y%m%d").to_string())?;
        println!("wrote {}", file.display());
        return Ok(());
    }
    let db = connect(Place::of(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))?).await?;
    match service {
        Service::Store => run(store::Migrator, &db, command).await,
        Service::Warehouse => run(warehouse::Migrator, &db, command).await,
    }
}

/// Where the database is.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Url(String),
    Parts { host: String, port: u16, username: String, password: String, database: String },
}

impl Place {
    fn of(variable: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        if let Some(url) = variable("DATABASE_URL") {
            return Ok(Self::Url(url));
        }
        let host = variable("DB_HOST").context(
            "set DATABASE_URL, like postgres://user:password@host/database, or DB_HOST, DB_USERNAME, DB_PASSWORD and DB_DATABASE",
        )?;
        Ok(Self::Parts {
            host,
            port: variable("DB_PORT").map_or(Ok(5432), |port| port.parse()).context("DB_PORT is no port")?,
            username: variable("DB_USERNAME").unwrap_or_default(),
            password: variable("DB_PASSWORD").unwrap_or_default(),
            database: variable("DB_DATABASE").context("set DB_DATABASE beside DB_HOST")?,
        })
    }
}

async fn connect(place: Place) -> anyhow::Result<DatabaseConnection> {
    let mut options = match place {
        Place::Url(url) => {
            let mut options = ConnectOptions::new(url);
            options.map_sqlx_postgres_opts(|postgres| postgres.application_name(NAME));
            options
        }
        // Not put into a URL, where half of all good passwords would have to be escaped.
        Place::Parts { host, port, username, password, database } => {
            let mut options = ConnectOptions::new("postgres://");
            options.map_sqlx_postgres_opts(move |postgres| {
                let postgres = postgres.host(&host).port(port).username(&username).password(&password);
                postgres.database(&database).application_name(NAME)
            });
            options
        }
    };
    // One connection: `fresh` switches SQLite's foreign keys off, which holds for one connection only.
    options.max_connections(1).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(|sqlite| sqlite.create_if_missing(true));
    Database::connect(options).await.context("cannot connect to the database")
}

/// Keeps services out of the database until this process has ended, or refuses where one is in: the schema would change under it. On
/// PostgreSQL the only connection holds the lock, on SQLite the file.
async fn lock(db: &DatabaseConnection) -> anyhow::Result<Option<File>> {
    const REFUSED: &str = "a service is running on this database: stop it first";
    if db.get_database_backend() == DbBackend::Postgres {
        let ask = Statement::from_sql_and_values(DbBackend::Postgres, "SELECT pg_try_advisory_lock($1)", [KEY.into()]);
        let answer = db.query_one_raw(ask).await?.context("PostgreSQL does not say whether it is locked")?;
        ensure!(answer.try_get_by_index::<bool>(0)?, REFUSED);
        return Ok(None);
    }
    let options = db.get_sqlite_connection_pool().connect_options();
    // A database in memory has no second process.
    let Some(database) = Some(options.get_filename()).filter(|file| file.exists()) else { return Ok(None) };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(file_beside(database))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => bail!(REFUSED),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

async fn run<M: MigratorTrait>(_: M, db: &DatabaseConnection, command: Command) -> anyhow::Result<()> {
    let changes = matches!(command, Command::Up | Command::Down { .. } | Command::Fresh);
    let _lock = if changes { lock(db).await? } else { None };
    match command {
        Command::Up => M::up(db, None).await?,
        Command::Down { steps } => M::down(db, Some(steps)).await?,
        Command::Fresh => M::fresh(db).await?,
        Command::Status => {}
        Command::Generate { .. } => bail!("generate needs no database"),
    }
    for migration in M::get_migration_with_status_read_only(db).await? {
        let state = match migration.status() {
            MigrationStatus::Applied => "applied",
            MigrationStatus::Pending => "pending",
        };
        println!("{state}  {}", migration.name());
    }
    Ok(())
}

const TEMPLATE: &str = r#"//! SUBJECT

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration("NAME: write what it does".to_owned()))
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration("NAME: write how it is taken back".to_owned()))
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
"#;

/// Writes `m<day>_<number>_<name>.rs` and enters it in the folder's `mod.rs`; the number follows the last one there.
fn generate(folder: &Path, name: &str, day: &str) -> anyhow::Result<PathBuf> {
    ensure!(
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
        "the name is snake case: lower-case letters, digits and _"
    );
    let list_path = folder.join("mod.rs");
    let list = std::fs::read_to_string(&list_path).with_context(|| format!("cannot read {}", list_path.display()))?;
    let modules: Vec<&str> = list.lines().filter(|line| line.starts_with("mod m")).collect();
    let last = modules.last().context("the list has no migration yet")?;
    let number: u32 = last.split('_').nth(1).and_then(|number| number.parse().ok()).context("cannot read the list")?;
    let module = format!("m{day}_{:06}_{name}", number + 1);

    let marker = "            // `migrate ";
    ensure!(list.contains(marker), "{} has lost the line that says where to add", list_path.display());
    let entered = list.replacen(last, &format!("{last}\nmod {module};"), 1).replacen(
        marker,
        &format!("            Box::new({module}::Migration),\n{marker}"),
        1,
    );
    let file = folder.join(format!("{module}.rs"));
    let subject = format!("{}.", capitalized(&name.replace('_', " ")));
    std::fs::write(&file, TEMPLATE.replace("SUBJECT", &subject).replace("NAME", name))?;
    std::fs::write(&list_path, entered)?;
    Ok(file)
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_migration_is_written_and_entered_last() {
        let folder = tempfile::tempdir().unwrap();
        let list = "mod m20261122_000004_sagas;\nvec![\n    Box::new(m20261122_000004_sagas::Migration),\n";
        let entry =
            include_str!("../store/mod.rs").lines().find(|line| line.contains("`migrate store generate`")).unwrap();
        std::fs::write(folder.path().join("mod.rs"), format!("{list}{entry}\n]\n")).unwrap();
        let file = generate(folder.path(), "add_audit_log", "20270101").unwrap();
        assert_eq!(file.file_name().unwrap(), "m20270101_000005_add_audit_log.rs");
        assert!(std::fs::read_to_string(&file).unwrap().starts_with("//! Add audit log."));
        generate(folder.path(), "more", "20270102").unwrap();

        let list = std::fs::read_to_string(folder.path().join("mod.rs")).unwrap();
        let position = |text: &str| list.find(text).unwrap_or_else(|| panic!("{text} in {list}"));
        assert!(position("mod m20261122_000004_sagas;") < position("mod m20270101_000005_add_audit_log;"));
        assert!(position("Box::new(m20270101_000005_add_audit_log") < position("Box::new(m20270102_000006_more"));
        assert!(position("Box::new(m20270102_000006_more") < position("// `migrate store generate`"));
    }

    #[test]
    fn the_database_is_found_by_its_url_or_by_its_parts() {
        let place = |pairs: &[(&str, &str)]| {
            let find = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            Place::of(&find)
        };
        let parts = [("DB_HOST", "db"), ("DB_USERNAME", "u"), ("DB_PASSWORD", "p@:/"), ("DB_DATABASE", "d")];
        let expected = Place::Parts {
            host: "db".to_owned(),
            port: 5432,
            username: "u".to_owned(),
            password: "p@:/".to_owned(),
            database: "d".to_owned(),
        };
        assert_eq!(place(&parts).unwrap(), expected);
        let with_url = [&parts[..], &[("DATABASE_URL", "postgres://h/x")]].concat();
        assert_eq!(place(&with_url).unwrap(), Place::Url("postgres://h/x".to_owned()));
        assert!(place(&[]).unwrap_err().to_string().contains("DATABASE_URL"));
        assert!(place(&parts[..1]).unwrap_err().to_string().contains("DB_DATABASE"));
        assert!(place(&[&parts[..], &[("DB_PORT", "70000")]].concat()).unwrap_err().to_string().contains("DB_PORT"));
    }

    #[tokio::test]
    async fn a_password_need_not_be_fit_for_a_url() {
        let database = kit::Database::create("migrate").await.unwrap();
        let role = format!("migrate_{}", std::process::id());
        let admin = connect(Place::Url(database.url())).await.unwrap();
        let name = database.url().rsplit('/').next().unwrap().to_owned();
        let statements = [
            format!("CREATE ROLE {role} LOGIN PASSWORD 'p@ss:w/rd?#%'"),
            format!("GRANT ALL ON DATABASE {name} TO {role}"),
            format!("GRANT ALL ON SCHEMA public TO {role}"),
        ];
        for statement in statements {
            admin.execute_unprepared(&statement).await.unwrap();
        }
        let address = database.url().rsplit('@').next().unwrap().to_owned();
        let (host, port) = address.split('/').next().unwrap().rsplit_once(':').unwrap();
        let variables = [
            ("DB_HOST", host),
            ("DB_PORT", port),
            ("DB_USERNAME", role.as_str()),
            ("DB_PASSWORD", "p@ss:w/rd?#%"),
            ("DB_DATABASE", name.as_str()),
        ];
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let db = connect(Place::of(&find).unwrap()).await.unwrap();
        run(store::Migrator, &db, Command::Up).await.unwrap();
        for db in [&db, &admin] {
            let ask = Statement::from_string(DbBackend::Postgres, "SHOW application_name");
            let name: String = db.query_one_raw(ask).await.unwrap().unwrap().try_get_by_index(0).unwrap();
            assert_eq!(name, NAME);
        }
        db.close().await.unwrap();
        admin.execute_unprepared(&format!("DROP OWNED BY {role}")).await.unwrap();
        admin.execute_unprepared(&format!("DROP ROLE {role}")).await.unwrap();
    }

    #[tokio::test]
    async fn while_a_service_is_in_the_schema_stays() {
        let folder = tempfile::tempdir().unwrap();
        let scratch = kit::Database::create("migrate_lock").await.unwrap();
        let file = folder.path().join("store.db");
        for url in [scratch.url(), format!("sqlite://{}", file.display())] {
            let there = async || connect(Place::Url(url.clone())).await.unwrap();
            run(store::Migrator, &there().await, Command::Up).await.unwrap();
            let service = there().await;
            let held = lock(&service).await.unwrap();
            for command in [Command::Up, Command::Down { steps: 1 }, Command::Fresh] {
                let refused = run(store::Migrator, &there().await, command).await.unwrap_err();
                assert!(refused.to_string().contains("stop it first"), "{url}: {refused}");
            }
            run(store::Migrator, &there().await, Command::Status).await.unwrap();
            service.execute_unprepared("SELECT id FROM orders").await.unwrap();
            drop(held);
            service.close().await.unwrap();
            run(store::Migrator, &there().await, Command::Down { steps: 1 }).await.unwrap();
        }
    }

    #[test]
    fn a_name_that_is_no_module_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", "Add", "../x", "1st", "a-b"] {
            assert!(generate(folder.path(), name, "20270101").is_err(), "{name}");
        }
    }
}
