use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use guardian_core::{Clock, StoreError, StoreErrorKind, Timestamp};

use crate::database::Purpose;
use guardian_core::shorten;
use crate::{Database, Dialect, Error, Migration, Migrations, Row, Sql, Tx, fault, params};

const ACQUIRE: &str = "INSERT INTO guardian_sql_leases (name, holder, token, expires) VALUES ($1, $2, 1, $3)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = guardian_sql_leases.token + 1,
    expires = excluded.expires WHERE guardian_sql_leases.expires <= $4 RETURNING token";
const RENEW: &str = "UPDATE guardian_sql_leases SET expires = $3 WHERE name = $1 AND token = $2";
const RELEASE: &str = "UPDATE guardian_sql_leases SET expires = $3 WHERE name = $1 AND token = $2 AND expires > $3";

/// Leases: of all processes on one database, one at a time does a piece of work.
///
/// A lease has a name, a holder, a time when it ends by itself, and a **fencing token** that grows with each holder. A
/// holder that slept through its time may still believe in its lease; [`Lease::fence`] makes its transaction fail then
/// (M. Kleppmann, "How to do distributed locking", 2016). So a wrong clock can let two processes work at once, but never
/// both of them write.
///
/// The table `guardian_sql_leases` belongs to no tenant; bring it in with [`Leases::MIGRATIONS`].
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use guardian_core::SystemClock;
/// # use guardian_sql::{Database, Leases};
///
/// # let db = Database::open("sqlite::memory:").await?;
/// db.migrate(&Leases::MIGRATIONS).await?;
/// let leases = Leases::new(&db, SystemClock::new());
/// if let Some(lease) = leases.acquire("audit.retention", "host-1", Duration::from_secs(60)).await? {
///     assert!(leases.acquire("audit.retention", "host-2", Duration::from_secs(60)).await?.is_none());
///     leases.release(lease).await?;
/// }
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Leases {
    db: Database,
    clock: Arc<dyn Clock>,
}

/// A lease that was acquired. Dropping it does nothing: it ends by itself, or with [`Leases::release`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    name: String,
    token: i64,
    expires: Timestamp,
}

impl Leases {
    /// The table of the leases.
    pub const MIGRATIONS: Migrations = Migrations::new(
        "guardian_sql",
        &[Migration::new(
            1,
            "create_leases",
            "CREATE TABLE guardian_sql_leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, token INTEGER NOT NULL, \
             expires INTEGER NOT NULL) STRICT, WITHOUT ROWID",
            "CREATE TABLE guardian_sql_leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, token BIGINT NOT NULL, \
             expires TIMESTAMPTZ NOT NULL)",
        )],
    );
    /// The longest name of a lease or a holder, in bytes.
    pub const MAX_NAME: usize = 200;
    /// The longest time of a lease.
    pub const MAX_TIME: Duration = Duration::from_secs(7 * 24 * 3600);

    /// The leases in this database. The clock says when a lease ends; those of the processes should agree.
    #[must_use]
    pub fn new(db: &Database, clock: impl Clock) -> Self {
        Self { db: db.clone(), clock: Arc::new(clock) }
    }

    /// Takes the lease for that long, if nobody has it. A holder that asks again is somebody else: it may have been
    /// restarted, and what it began before is unknown.
    ///
    /// # Errors
    /// When a name is empty or longer than 200 bytes, the time is zero or above seven days, or the database fails.
    pub async fn acquire(&self, name: &str, holder: &str, time: Duration) -> Result<Option<Lease>, Error> {
        for text in [name, holder] {
            check(text)?;
        }
        let (now, expires) = self.until(name, time)?;
        let row = self.write(ACQUIRE, params![name, holder, expires, now]).await?;
        let (_, Some(row)) = row else {
            return Ok(None);
        };
        Ok(Some(Lease { name: name.to_owned(), token: row.get("token")?, expires }))
    }

    /// Makes the lease last that long from now; says whether it is still ours. One that ran out but that nobody took is.
    ///
    /// # Errors
    /// As for [`Self::acquire`].
    pub async fn renew(&self, lease: &mut Lease, time: Duration) -> Result<bool, Error> {
        let (_, expires) = self.until(&lease.name, time)?;
        let (changed, _) = self.write(RENEW, params![lease.name, lease.token, expires]).await?;
        if changed > 0 {
            lease.expires = expires;
        }
        Ok(changed > 0)
    }

    /// Ends the lease; says whether it was still ours and had not run out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release(&self, lease: Lease) -> Result<bool, Error> {
        let now = self.clock.now();
        let (changed, _) = self.write(RELEASE, params![lease.name, lease.token, now]).await?;
        Ok(changed > 0)
    }

    fn until(&self, name: &str, time: Duration) -> Result<(Timestamp, Timestamp), Error> {
        let invalid = |why| Error::InvalidLease { input: shorten(name), why };
        if time < Duration::from_millis(1) || time > Self::MAX_TIME {
            return Err(invalid("its time is not between a millisecond and seven days"));
        }
        let now = self.clock.now();
        now.checked_add_signed(chrono::TimeDelta::from_std(time).unwrap_or_default())
            .map(|end| (now, end))
            .ok_or_else(|| invalid("it would end after the calendar does"))
    }

    async fn write(
        &self,
        sql: &'static str,
        params: &[crate::Param<'_>],
    ) -> Result<(u64, Option<Row>), StoreError> {
        let mut session = self.db.begin_session(Purpose::Upkeep).await?;
        let mut found = None;
        let mut keep = |row| {
            found = Some(row);
            Ok(())
        };
        let changed = session.run(&sql.into(), params, true, &mut keep).await?;
        session.commit().await?;
        Ok((changed, found))
    }
}

impl Lease {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The fencing token: greater than that of every earlier holder.
    #[must_use]
    pub fn token(&self) -> i64 {
        self.token
    }

    /// When it ends by itself.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Makes a transaction fail unless the lease is still this holder's, now and until the transaction ends: whoever
    /// wants to take it over waits for that.
    ///
    /// # Errors
    /// `Conflict` when somebody took the lease over; or the database fails.
    pub async fn fence<B>(&self, tx: &mut Tx<B>) -> Result<(), StoreError> {
        let sql: Sql = match tx.dialect() {
            Dialect::Sqlite => "SELECT token FROM guardian_sql_leases WHERE name = $1",
            Dialect::Postgres => "SELECT token FROM guardian_sql_leases WHERE name = $1 FOR SHARE",
        }
        .into();
        let row = tx.fetch_optional(sql, params![self.name]).await?;
        let token: Option<i64> = row.map(|row| row.get("token")).transpose()?;
        if token == Some(self.token) {
            return Ok(());
        }
        tx.fail();
        let message = format!("the lease `{}` was taken over", self.name);
        Err(fault::own(StoreErrorKind::Conflict, tx.dialect(), message))
    }
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.name, self.token)
    }
}

fn check(text: &str) -> Result<(), Error> {
    let why = if text.is_empty() {
        "it is empty"
    } else if text.len() > Leases::MAX_NAME {
        "it has more than 200 bytes"
    } else if text.contains(char::is_control) {
        "it has a control character"
    } else {
        return Ok(());
    };
    Err(Error::InvalidLease { input: shorten(text), why })
}
