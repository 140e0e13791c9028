//! `guardian-peer-durare memory|sqlite://FILE`: reads `one N` or `many N WIDTH` from standard input, runs so many workflows of ten
//! trivial steps, one after another or so many at a time, and prints the nanoseconds that each took (one) or that all took.

use std::error::Error;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Instant;

use durare::{DurableContext, DurableEngine, InMemoryProvider, SqliteProvider, StateProvider, WorkflowOptions};
use futures_util::stream::{self, StreamExt};

#[durare::step]
async fn add(ctx: &DurableContext, n: i64) -> durare::Result<i64> {
    Ok(n + 1)
}

#[durare::workflow]
async fn ten(ctx: DurableContext, n: i64) -> durare::Result<i64> {
    let mut n = n;
    for _ in 0..10 {
        n = add(&ctx, n).await?;
    }
    Ok(n)
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = std::env::args().nth(1).ok_or("name a store")?;
    let provider: Arc<dyn StateProvider> = match store.as_str() {
        "memory" => Arc::new(InMemoryProvider::new()),
        url => Arc::new(SqliteProvider::connect(url).await?),
    };
    let engine = DurableEngine::new(provider).await?;
    let mut next = 0_u64;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let count: u64 = words.get(1).ok_or("how many?")?.parse()?;
        let run = async |number: u64| -> durare::Result<i64> {
            let options = WorkflowOptions::with_id(format!("w{number}"));
            engine.start_with(Ten, 0, options).await?.await
        };
        let ids = next..next + count;
        next += count;
        let mut out = std::io::stdout().lock();
        match words.first().copied() {
            Some("one") => {
                for id in ids {
                    let started = Instant::now();
                    assert_eq!(run(id).await?, 10);
                    write!(out, "{} ", started.elapsed().as_nanos())?;
                }
                writeln!(out)?;
            }
            Some("many") => {
                let width: usize = words.get(2).ok_or("how many at a time?")?.parse()?;
                let started = Instant::now();
                let results: Vec<_> = stream::iter(ids).map(run).buffer_unordered(width).collect().await;
                for result in results {
                    assert_eq!(result?, 10);
                }
                writeln!(out, "{}", started.elapsed().as_nanos())?;
            }
            _ => return Err("say `one` or `many`".into()),
        }
        out.flush()?;
    }
    Ok(())
}
