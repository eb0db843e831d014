//! `POST /books/import`: a file of books, written while it arrives.

use ::http::StatusCode;
use contract::ImportReport;
use contract::problem as kind;
use futures_util::StreamExt as _;
use service::problem::Problem;
use service::routes::{BodyStream, Request, Response};

use super::write::{WRITE_LIMIT, explain};
use crate::actors::catalog::Msg;
use crate::app::App;
use crate::domain::catalogue::Imported;
use crate::domain::import::{Fatal, Reader};

/// The types that are read.
pub(in crate::http) const MEDIA_TYPES: &[&str] = &["text/csv", "application/x-ndjson"];
/// The books of one statement.
const CHUNK: usize = 500;

/// Rows that are wrong are left out and told. Where the rest cannot be read or written, what was written stays, and the problem says
/// how much that is; the same file again goes on from there, since what is there already is left as it is.
pub(in crate::http) async fn import(request: Request<App>) -> Result<Response, Problem> {
    let reader = if request.media_type() == MEDIA_TYPES[0] { Reader::csv() } else { Reader::ndjson() };
    let body = request.take_body().ok_or_else(|| Problem::internal("the body was taken already"))?;
    let mut import = Import { reader, imported: Imported::default() };
    let ended = import.run(&request.app, body).await;
    let report = import.report();
    match ended {
        Ok(()) => Ok(Response::ok(&report)),
        Err(problem) => Err(problem.with("imported", report)),
    }
}

struct Import {
    reader: Reader,
    imported: Imported,
}

impl Import {
    async fn run(&mut self, app: &App, mut body: BodyStream) -> Result<(), Problem> {
        while let Some(piece) = body.next().await {
            self.reader.feed(&piece?).map_err(refuse)?;
            while self.reader.ready() >= CHUNK {
                self.write(app).await?;
            }
        }
        self.reader.finish().map_err(refuse)?;
        while self.reader.ready() > 0 {
            self.write(app).await?;
        }
        Ok(())
    }

    async fn write(&mut self, app: &App) -> Result<(), Problem> {
        let drafts = self.reader.take(CHUNK);
        let ask = app.addresses.catalog.ask(WRITE_LIMIT, |reply| Msg::Import { drafts, reply });
        let Imported { created, updated, unchanged } = ask.await?.map_err(explain)?;
        self.imported.created += created;
        self.imported.updated += updated;
        self.imported.unchanged += unchanged;
        Ok(())
    }

    fn report(self) -> ImportReport {
        let Imported { created, updated, unchanged } = self.imported;
        ImportReport { created, updated, unchanged, failed: self.reader.failed(), errors: self.reader.into_faults() }
    }
}

fn refuse(fatal: Fatal) -> Problem {
    match fatal {
        Fatal::Header(message) => Problem::invalid_field("header", message),
        Fatal::TooManyRows => {
            Problem::new(kind::BODY_TOO_LARGE, StatusCode::PAYLOAD_TOO_LARGE, "Body too large", fatal)
        }
    }
}
