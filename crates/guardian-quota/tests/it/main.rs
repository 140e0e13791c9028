//! Quotas: decisions, periods, ledgers and relays, on memory, SQLite and a real Postgres.

#[cfg(test)]
mod stores;
#[cfg(test)]
mod periods;
