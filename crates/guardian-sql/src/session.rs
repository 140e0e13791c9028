//! A connection while a transaction holds it: what state it is in, and how it ends on every way out.

use std::borrow::Cow;
use std::time::Duration;

use futures_util::StreamExt;
use guardian_core::{StoreError, StoreErrorKind};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::conn::{Part, Parts};
use crate::lexer::{self, Shape};
use crate::pool::Lease;
use crate::row::Row;
use crate::{Dialect, Param, Sql, fault};

/// A server gets this much longer than its own limit before it is given up.
const GRACE: Duration = Duration::from_secs(1);

/// One transaction on one connection.
///
/// It is `failed` after a statement that failed: PostgreSQL refuses everything then and turns a commit into a rollback,
/// SQLite would commit what is there. Here both refuse everything until a savepoint is rolled back to. A statement whose
/// future was dropped counts as failed, because nobody knows whether it took effect.
pub(crate) struct Session {
    lease: Option<Lease>,
    dialect: Dialect,
    handle: Handle,
    /// What begins the transaction and is still to be sent, before the first statement and together with it; and how long it may wait for
    /// its turn, which is none of the statement's time.
    opening: Option<(Sql, Duration)>,
    /// For a statement, as this side measures it.
    limit: Duration,
    #[cfg(feature = "testkit")]
    pub(crate) interceptor: Option<std::sync::Arc<dyn crate::testkit::Interceptor>>,
    failed: bool,
    /// A statement is on its way; stays so when its future is dropped.
    in_flight: bool,
    /// The number of open savepoints.
    pub(crate) depth: u32,
    /// The savepoint that must be rolled back to before anything else: its guard was dropped.
    pub(crate) undo: Option<u32>,
    /// How many cursors there were; each has a name of its own.
    pub(crate) cursors: u64,
}

impl Session {
    pub(crate) fn new(lease: Lease, dialect: Dialect, handle: Handle, statement_timeout: Duration) -> Self {
        let limit = match dialect {
            Dialect::Sqlite => statement_timeout,
            Dialect::Postgres => statement_timeout.saturating_add(GRACE),
        };
        Self {
            lease: Some(lease),
            dialect,
            handle,
            opening: None,
            limit,
            #[cfg(feature = "testkit")]
            interceptor: None,
            failed: false,
            in_flight: false,
            depth: 0,
            undo: None,
            cursors: 0,
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Begins the transaction with its first statement: one wake-up of SQLite's thread less.
    pub(crate) fn open_with(&mut self, opening: Sql, wait: Duration) {
        self.opening = Some((opening, wait));
    }

    /// Begins the transaction alone: where nobody knows whether the statement will be sent.
    pub(crate) async fn begin_now(&mut self) -> Result<(), StoreError> {
        // With nothing behind it.
        if self.opening.is_some() { self.control(&"".into()).await } else { Ok(()) }
    }

    /// The text behind what begins the transaction, where that is still to be sent.
    fn opened<'s>(&self, sql: &'s Sql) -> Cow<'s, Sql> {
        match &self.opening {
            Some((opening, _)) => Cow::Owned(joined([opening, sql])),
            None => Cow::Borrowed(sql),
        }
    }

    /// How long the next text may take, with waiting for its turn where it begins the transaction.
    fn time(&self) -> Duration {
        let wait = self.opening.as_ref().map_or(Duration::ZERO, |(_, wait)| *wait);
        self.limit.saturating_add(wait)
    }

    pub(crate) fn set_limit(&mut self, limit: Duration) {
        self.limit = limit.saturating_add(GRACE);
    }

    fn gone(&self) -> StoreError {
        fault::own(StoreErrorKind::Internal, self.dialect, "the transaction has ended")
    }

    fn too_late(&self) -> StoreError {
        let message = format!("no answer within {} ms", self.limit.as_millis());
        fault::own(StoreErrorKind::Timeout, self.dialect, message)
    }

    /// Runs one of our own texts, whatever the state.
    pub(crate) async fn control(&mut self, sql: &Sql) -> Result<(), StoreError> {
        let sql = self.opened(sql);
        let (limit, dialect, time) = (self.limit, self.dialect, self.time());
        let Some(link) = self.lease.as_mut().and_then(Lease::link) else {
            return Err(self.gone());
        };
        // An abandoned statement that was interrupted must not get new time.
        if !self.in_flight {
            link.arm(time);
        }
        (self.in_flight, self.opening) = (true, None);
        match within(limit, dialect, link.batch(&sql)).await {
            Ok(done) => {
                self.in_flight = false;
                self.failed |= done.is_err();
                done
            }
            Err(Elapsed) => {
                self.failed = true;
                Err(self.too_late())
            }
        }
    }

    /// What must hold before a statement may run.
    pub(crate) async fn ready(&mut self) -> Result<(), StoreError> {
        if let Some(depth) = self.undo.take() {
            self.roll_back_to(depth).await?;
        }
        // What was abandoned still counts as on its way when the transaction is cleaned up.
        self.failed |= self.in_flight;
        if self.failed {
            let message = "a statement of this transaction failed or was abandoned: roll back, or to a savepoint";
            return Err(fault::own(StoreErrorKind::Internal, self.dialect, message));
        }
        Ok(())
    }

    /// Undoes what came after a savepoint, and heals what failed since.
    pub(crate) async fn roll_back_to(&mut self, depth: u32) -> Result<(), StoreError> {
        let mut sql = Sql::builder("ROLLBACK TO SAVEPOINT guardian_");
        sql.number(depth.into()).push("; RELEASE SAVEPOINT guardian_").number(depth.into());
        // Set again when the future is dropped on its way: then nothing was healed.
        self.undo = Some(depth);
        if self.in_flight
            && let Some(link) = self.lease.as_mut().and_then(Lease::link)
        {
            link.interrupt();
        }
        self.control(&sql.finish()).await?;
        self.undo = None;
        self.depth = depth.saturating_sub(1);
        self.failed = false;
        Ok(())
    }

    /// The statement as the tests' interceptor wants it.
    #[cfg(feature = "testkit")]
    pub(crate) fn rewritten(&self, sql: &Sql) -> Sql {
        let changed = self.interceptor.as_ref().and_then(|interceptor| interceptor.statement(sql.as_str()));
        changed.map_or_else(|| sql.clone(), |text| Sql::for_a_test(&text))
    }

    /// Without the test kit a statement is what it is.
    #[cfg(not(feature = "testkit"))]
    pub(crate) fn rewritten<'s>(&self, sql: &'s Sql) -> &'s Sql {
        sql
    }

    /// Looks a statement over before it is sent.
    pub(crate) fn inspect<'s>(&self, sql: &'s Sql, params: usize) -> Result<Shape<'s>, StoreError> {
        let refuse = |kind, why: String| {
            let message = format!("the statement `{}` {why}", guardian_core::shorten(sql.as_str()));
            fault::own(kind, self.dialect, message)
        };
        let shape = lexer::single_statement(sql.as_str(), self.dialect)
            .map_err(|why| refuse(StoreErrorKind::Unsupported, format!("is refused: {why}")))?;
        if lexer::touches_the_connection(shape.verb) {
            let why = format!("is refused: `{}` is not for a statement within a transaction", shape.verb);
            return Err(refuse(StoreErrorKind::Unsupported, why));
        }
        if usize::try_from(shape.placeholders).ok() != Some(params) {
            let why = format!("names {} parameters, and {params} were given", shape.placeholders);
            return Err(refuse(StoreErrorKind::Internal, why));
        }
        if params > self.dialect.max_params() {
            let why = format!("has {params} parameters, the most is {}", self.dialect.max_params());
            return Err(refuse(StoreErrorKind::Unsupported, why));
        }
        Ok(shape)
    }

    /// Runs one statement to its end; `row` sees each row and says whether it is welcome.
    pub(crate) async fn run(
        &mut self,
        sql: &Sql,
        params: &[Param<'_>],
        kept: bool,
        row: &mut (dyn FnMut(Row) -> Result<(), &'static str> + Send),
    ) -> Result<u64, StoreError> {
        #[cfg(feature = "testkit")]
        let sql = &self.rewritten(sql);
        self.run_as_it_is(sql, params, kept, false, row).await
    }

    /// Runs a last statement, commits, and gives the connection back: on SQLite in one wake-up of its thread.
    pub(crate) async fn run_and_commit(
        mut self,
        sql: &Sql,
        params: &[Param<'_>],
        kept: bool,
        row: &mut (dyn FnMut(Row) -> Result<(), &'static str> + Send),
    ) -> Result<u64, StoreError> {
        if self.dialect == Dialect::Postgres {
            let changed = self.run(sql, params, kept, row).await?;
            return self.commit().await.map(|()| changed);
        }
        #[cfg(feature = "testkit")]
        let sql = &self.rewritten(sql);
        let changed = self.run_as_it_is(sql, params, kept, true, row).await?;
        self.finish();
        Ok(changed)
    }

    /// Runs a statement that was rewritten already, if it was to be, and commits with it where that is asked for.
    pub(crate) async fn run_as_it_is(
        &mut self,
        sql: &Sql,
        params: &[Param<'_>],
        kept: bool,
        commits: bool,
        row: &mut (dyn FnMut(Row) -> Result<(), &'static str> + Send),
    ) -> Result<u64, StoreError> {
        self.ready().await?;
        let shape = self.inspect(sql, params.len())?;
        // SQLite's count of changes is that of the last statement that made any.
        let counts = self.dialect == Dialect::Postgres || !shape.verb.eq_ignore_ascii_case("SELECT");
        let changed = self.drive(sql, params, kept, commits, row).await?;
        Ok(if counts { changed } else { 0 })
    }

    /// Sends a statement with what begins the transaction, if that is still to be sent, and with what ends it, if asked for.
    async fn drive(
        &mut self,
        sql: &Sql,
        params: &[Param<'_>],
        kept: bool,
        commits: bool,
        row: &mut (dyn FnMut(Row) -> Result<(), &'static str> + Send),
    ) -> Result<u64, StoreError> {
        let (limit, dialect, time) = (self.limit, self.dialect, self.time());
        let before = usize::from(self.opening.is_some());
        let opened = self.opened(sql);
        let sql = if commits { Cow::Owned(joined([&opened, &"COMMIT".into()])) } else { opened };
        let Some(link) = self.lease.as_mut().and_then(Lease::link) else {
            return Err(self.gone());
        };
        link.arm(time);
        // What cannot be sent begins nothing either.
        let mut parts = link.run(&sql, params, kept)?;
        (self.in_flight, self.opening) = (true, None);
        let texts = Texts { before, after: usize::from(commits) };
        let answered = within(limit, dialect, drain(&mut parts, dialect, texts, row)).await;
        drop(parts);
        match answered {
            Ok(done) => {
                self.in_flight = false;
                self.failed |= done.is_err();
                done
            }
            Err(Elapsed) => {
                self.failed = true;
                Err(self.too_late())
            }
        }
    }

    /// Opens a statement whose rows are taken one by one.
    pub(crate) fn open(&mut self, sql: &Sql, params: &[Param<'_>]) -> Result<Steps<'_>, StoreError> {
        let Self { lease, failed, in_flight, dialect, .. } = self;
        match lease.as_mut().and_then(Lease::link) {
            Some(link) => {
                // Reading may pause for any time; the one who reads minds each step.
                link.arm(Duration::MAX);
                Ok(Steps { parts: link.run(sql, params, true)?, failed, in_flight })
            }
            None => Err(fault::own(StoreErrorKind::Internal, *dialect, "the transaction has ended")),
        }
    }

    /// Lets nothing of this transaction be kept.
    pub(crate) fn fail(&mut self) {
        self.failed = true;
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Gives the connection back after a statement that was a transaction of its own.
    pub(crate) fn end_without_transaction(mut self) {
        self.finish();
    }

    /// Commits, and gives the connection back.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        self.ready().await?;
        // What was never begun need not end.
        if self.opening.is_none() {
            self.control(&"COMMIT".into()).await?;
        }
        self.finish();
        Ok(())
    }

    /// Rolls back, and gives the connection back.
    pub(crate) async fn roll_back(mut self) -> Result<(), StoreError> {
        let gone = self.gone();
        if self.opening.is_some() {
            self.finish();
            return Ok(());
        }
        match self.clean_up() {
            // In a task of its own, so that a caller who goes away does not stop it halfway.
            Some(task) => task.await.map_err(|_| gone),
            None => Err(gone),
        }
    }

    fn finish(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }

    /// Ends the transaction and gives the connection back, or closes it, which ends the transaction too.
    fn clean_up(&mut self) -> Option<JoinHandle<()>> {
        if self.opening.is_some() {
            self.finish();
        }
        let mut lease = self.lease.take()?;
        let abandoned = self.in_flight;
        if abandoned && let Some(link) = lease.link() {
            link.interrupt();
        }
        Some(self.handle.spawn(async move {
            let usable = match lease.link() {
                Some(link) => link.reset(abandoned).await,
                None => false,
            };
            if usable {
                lease.give_back();
            }
        }))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _runs_on = self.clean_up();
    }
}

/// A server that did not answer in time.
pub(crate) struct Elapsed;

/// Waits no longer than that for a server. SQLite minds the time itself.
pub(crate) async fn within<T>(
    limit: Duration,
    dialect: Dialect,
    work: impl Future<Output = T>,
) -> Result<T, Elapsed> {
    match dialect {
        Dialect::Sqlite => Ok(work.await),
        Dialect::Postgres => timeout(limit, work).await.map_err(|_| Elapsed),
    }
}

/// A statement that is read step by step, and the state that it leaves.
pub(crate) struct Steps<'s> {
    pub(crate) parts: Parts<'s>,
    pub(crate) failed: &'s mut bool,
    pub(crate) in_flight: &'s mut bool,
}

/// How many texts go out before and after the statement and together with it.
#[derive(Clone, Copy)]
struct Texts {
    before: usize,
    after: usize,
}

async fn drain(
    parts: &mut Parts<'_>,
    dialect: Dialect,
    texts: Texts,
    row: &mut (dyn FnMut(Row) -> Result<(), &'static str> + Send),
) -> Result<u64, StoreError> {
    let (mut changed, mut done) = (0, 0);
    while let Some(part) = parts.next().await {
        match part.map_err(|error| fault::from_driver(error, dialect))? {
            Part::Row(found) => {
                row(found).map_err(|why| fault::own(StoreErrorKind::Internal, dialect, why))?;
            }
            Part::Done(count) => {
                // SQLite tells of each text, also of those beside the statement.
                if dialect == Dialect::Postgres || done == texts.before {
                    changed += count;
                }
                done += 1;
                // What SQLite had to say about them is said. Waiting for the thread behind it to say that it is done as well would
                // be one more wake-up.
                if dialect == Dialect::Sqlite && done > texts.before + texts.after {
                    break;
                }
            }
        }
    }
    // The thread behind it has ended on its way: nobody knows how far it came.
    if dialect == Dialect::Sqlite && done <= texts.before + texts.after {
        return Err(fault::own(StoreErrorKind::Unavailable, dialect, "the answer ended in its middle"));
    }
    Ok(changed)
}

/// Several texts as one.
fn joined(texts: [&Sql; 2]) -> Sql {
    let [first, second] = texts;
    let mut sql = Sql::builder("");
    sql.push_sql(first).push("\n; ").push_sql(second);
    sql.finish()
}
