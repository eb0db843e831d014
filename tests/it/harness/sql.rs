//! Plain SQL on a service's database.

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, FromQueryResult, JsonValue, Statement,
};
use serde::de::DeserializeOwned;

pub struct Sql(DatabaseConnection);

impl Sql {
    pub async fn open(url: &str) -> Result<Self, DbErr> {
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false).connect_timeout(super::SOON).acquire_timeout(super::SOON);
        Ok(Self(Database::connect(options).await?))
    }

    /// The rows of a query, each made from its columns by name.
    pub async fn rows<T: DeserializeOwned>(&self, query: &str) -> Result<Vec<T>, DbErr> {
        let query = format!("SELECT to_jsonb(q) AS row FROM ({query}) q");
        let rows = JsonValue::find_by_statement(Statement::from_string(self.0.get_database_backend(), query))
            .all(&self.0)
            .await?;
        rows.into_iter()
            .map(|mut row| serde_json::from_value(row["row"].take()).map_err(|error| DbErr::Custom(error.to_string())))
            .collect()
    }

    /// The one number of a query.
    pub async fn number(&self, query: &str) -> Result<i64, DbErr> {
        #[derive(serde::Deserialize)]
        struct Number {
            n: Option<i64>,
        }
        let rows: Vec<Number> = self.rows(&format!("SELECT ({query})::bigint AS n")).await?;
        Ok(rows[0].n.unwrap_or_default())
    }

    pub async fn execute(&self, statement: &str) -> Result<(), DbErr> {
        self.0.execute_unprepared(statement).await.map(|_| ())
    }
}
