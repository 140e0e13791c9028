use std::fmt;

use futures_util::StreamExt;
use guardian_core::{StoreError, StoreErrorKind};
use tokio::time::timeout;

use crate::conn::Part;
use crate::session::{Session, Steps};
use crate::{Dialect, Param, Row, Sql, fault};

/// Rows a round trip of a cursor.
const BATCH: i64 = 256;

/// The rows of a query, one by one; see [`Tx::stream`](crate::Tx::stream).
pub struct RowStream<'t>(Kind<'t>);

enum Kind<'t> {
    /// SQLite steps as rows are taken.
    Steps { steps: Steps<'t>, dialect: Dialect, limit: std::time::Duration, done: bool },
    /// PostgreSQL would send everything at once; a cursor waits, and dropping it leaves nothing to be read.
    Cursor { session: &'t mut Session, fetch: Sql, close: Sql, rows: std::vec::IntoIter<Row>, done: bool },
}

impl<'t> RowStream<'t> {
    pub(crate) async fn open(
        session: &'t mut Session,
        sql: Sql,
        params: &[Param<'_>],
    ) -> Result<Self, StoreError> {
        let sql = session.rewritten(&sql).clone();
        session.ready().await?;
        let verb = session.inspect(&sql, params.len())?.verb;
        if !["SELECT", "WITH", "VALUES"].iter().any(|query| query.eq_ignore_ascii_case(verb)) {
            let why = format!("`{verb}` is not a query: only `SELECT`, `WITH` and `VALUES` can be read row by row");
            return Err(fault::own(StoreErrorKind::Unsupported, session.dialect(), why));
        }
        let (dialect, limit) = (session.dialect(), session.limit());
        if dialect == Dialect::Sqlite {
            // A stream of which no row is taken never sends its query.
            session.begin_now().await?;
            let steps = session.open(&sql, params)?;
            return Ok(Self(Kind::Steps { steps, dialect, limit, done: false }));
        }
        session.cursors += 1;
        let number = i64::try_from(session.cursors).unwrap_or(i64::MAX);
        let mut declare = Sql::builder("DECLARE guardian_cursor_");
        declare.number(number).push(" NO SCROLL CURSOR FOR ").push_sql(&sql);
        let mut fetch = Sql::builder("FETCH ");
        fetch.number(BATCH).push(" FROM guardian_cursor_").number(number);
        let mut close = Sql::builder("CLOSE guardian_cursor_");
        close.number(number);
        session.run_as_it_is(&declare.finish(), params, false, false, &mut |_| Ok(())).await?;
        let rows = Vec::new().into_iter();
        Ok(Self(Kind::Cursor { session, fetch: fetch.finish(), close: close.finish(), rows, done: false }))
    }

    /// The next row; `None` after the last one.
    ///
    /// # Errors
    /// As for [`Tx::execute`](crate::Tx::execute).
    pub async fn next(&mut self) -> Result<Option<Row>, StoreError> {
        match &mut self.0 {
            Kind::Steps { done: true, .. } => Ok(None),
            Kind::Steps { steps, dialect, limit, done } => loop {
                let Ok(part) = timeout(*limit, steps.parts.next()).await else {
                        *done = true;
                        (*steps.failed, *steps.in_flight) = (true, true);
                        let message = format!("no row within {} ms", limit.as_millis());
                        return Err(fault::own(StoreErrorKind::Timeout, *dialect, message));
                };
                match part {
                    Some(Ok(Part::Row(row))) => return Ok(Some(row)),
                    Some(Ok(Part::Done(_))) => {}
                    Some(Err(error)) => {
                        *done = true;
                        *steps.failed = true;
                        return Err(fault::from_driver(error, *dialect));
                    }
                    None => {
                        *done = true;
                        return Ok(None);
                    }
                }
            },
            Kind::Cursor { session, fetch, close, rows, done } => {
                if let Some(row) = rows.next() {
                    return Ok(Some(row));
                }
                if *done {
                    return Ok(None);
                }
                let mut batch = Vec::with_capacity(256);
                let mut keep = |row| {
                    batch.push(row);
                    Ok(())
                };
                session.run(fetch, &[], false, &mut keep).await?;
                if batch.is_empty() {
                    session.run(close, &[], false, &mut |_| Ok(())).await?;
                    *done = true;
                }
                *rows = batch.into_iter();
                Ok(rows.next())
            }
        }
    }
}

impl fmt::Debug for RowStream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dialect = match &self.0 {
            Kind::Steps { dialect, .. } => *dialect,
            Kind::Cursor { session, .. } => session.dialect(),
        };
        f.debug_struct("RowStream").field("dialect", &dialect).finish_non_exhaustive()
    }
}
