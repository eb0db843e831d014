//! What keeps a database to one process: a service holds it for as long as it runs, the command line while it changes the schema.

use std::path::{Path, PathBuf};

/// The advisory lock of a PostgreSQL database: `bookstor`, in ASCII.
pub const KEY: i64 = 0x626f_6f6b_7374_6f72;

/// The file that is locked beside that of an SQLite database.
pub fn file_beside(database: &Path) -> PathBuf {
    let mut path = database.to_owned().into_os_string();
    path.push(".lock");
    path.into()
}
