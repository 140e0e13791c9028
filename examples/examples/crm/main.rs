//! A small multi-tenant CRM behind Guardian: contacts, deals and notes of two customers on two plans.
//!
//! ```sh
//! cargo run --example crm              # port 3000, or a free one if that is taken; data in `crm.db`
//! cargo run --example crm -- --port 0 --db sqlite::memory:
//! cargo run --example crm -- --db postgres://user:password@localhost/crm --redis redis://localhost   # as often as you like
//! ```
//!
//! It prints its keys and commands to try. The files, in reading order: `limits.rs` (what is limited), `auth.rs` (who is
//! asking), `addresses.rs` (from where), `roles.rs` (what a key may do), `routes.rs` (the API), `api.rs` (the ready-made API of administrators), `store.rs` (the data), `trail.rs` (who changed it), `quotas.rs` (what a
//! plan includes), `automate.rs` (what happens by itself then), `moods.rs` (how notes sound), `webhooks.rs` (who is told).
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it tells a person at a terminal how to use it"
)]

mod addresses;
mod api;
mod auth;
mod automate;
mod limits;
mod moods;
mod quotas;
mod roles;
mod routes;
mod store;
mod trail;
mod webhooks;

use std::error::Error;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use chrono::DateTime;
use guardian::Guardian;
use guardian::assembly::Sql;
use guardian::http::{AuthenticateLayer, BodyLimitsLayer, RequestIdLayer, Server, Stack};
use guardian::ratelimit::{RedisConfig, RedisStore};
use guardian::rbac::role_sets;
use guardian::sql::Database;
use guardian::tenant::NewTenant;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use auth::ADMIN_KEY;
use auth::DEMO_KEYS;
use automate::AddNote;
use limits::Limits;
use store::Crm;

/// What every handler can reach.
#[derive(Clone)]
struct App {
    crm: Arc<Crm>,
    limits: Arc<Limits>,
    guardian: Guardian<Sql>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crm: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let wanted = Wanted::read(std::env::args().skip(1))?;
    let db = Database::open(&wanted.db).await?;
    db.migrate(&store::MIGRATIONS).await?;
    store::wall_off(&db).await?;
    let guardian = assemble(db.clone(), &wanted).await?;
    seed(&guardian).await?;
    let crm = Arc::new(Crm::new(guardian.clone()));
    moods::catch_up(&crm, guardian.sentiments(), auth::tenants().collect()).await?;

    let limits = Arc::new(Limits::of(guardian.limiter())?);
    let router = router(App { crm, limits, guardian: guardian.clone() })?;
    let listener = listen(wanted.port).await?;
    introduce(listener.local_addr()?, &db);

    let (stop, stopped) = oneshot::channel::<()>();
    let workers = guardian.workers().on_trouble(|part, error| eprintln!("crm: {part}: {error}"));
    let working = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        workers.run(stopped).await;
    });
    let server = Server::new(listener).max_connections(wanted.connections);
    server.run(router, told_to_stop()).await?;
    // What the last requests left behind is told and delivered first.
    drop(stop);
    working.await?;
    db.close().await;
    println!("stopped");
    Ok(())
}

/// Guardian with what the CRM wants of it.
async fn assemble(db: Database, wanted: &Wanted) -> Result<Guardian<Sql>, Box<dyn Error>> {
    // The set does not depend on when it is read; its times are in the grants, of which it has none.
    let mut builder = Guardian::builder()
        .operator(auth::OPERATOR)
        .secrets_key(webhooks::DEMO_KEY)
        .webhooks(webhooks::config(wanted.hooks))
        .proxies(addresses::proxies())
        .roles(role_sets::crm(DateTime::UNIX_EPOCH)?)
        .actions(automate::actions()?)
        .transactional(AddNote::NAME, AddNote::new());
    for policy in limits::policies()? {
        builder = builder.limit(policy);
    }
    for plan in quotas::plans()? {
        builder = builder.plan(plan);
    }
    if let Some(url) = &wanted.redis {
        builder = builder.counters(RedisStore::connect(url.as_str(), RedisConfig::default()).await?);
    }
    Ok(builder.on(db).await?)
}

/// Makes what the demo begins with, unless it is there.
async fn seed(guardian: &Guardian<Sql>) -> Result<(), Box<dyn Error>> {
    let platform = auth::platform("the demo's tenants are made when it starts")?;
    guardian.welcome_operator("business").await?;
    roles::grant(guardian.roles(), platform.scope().tenant(), "user:op", "admin").await?;
    for tenant in auth::tenants() {
        let keys: Vec<_> = DEMO_KEYS.iter().filter(|key| key.tenant == tenant.as_str()).collect();
        let plan = keys.first().map_or("starter", |key| key.plan);
        let known = guardian.tenants().get(&platform, &tenant).await;
        // Globex pays for more. What an operator gave it since is left alone.
        if plan == "business" && matches!(known, Err(guardian::tenant::Error::NotFound { .. })) {
            for (limit, rule) in limits::BUSINESS {
                guardian.limit_tenant(&platform, &tenant, limit, Some(rule.parse()?)).await?;
            }
        }
        guardian.welcome(&platform, NewTenant::new(tenant.clone(), tenant.as_str(), plan, "eu")?).await?;
        for key in keys {
            roles::grant(guardian.roles(), &tenant, &format!("api_key:{}", key.id), key.role).await?;
        }
        automate::begin(guardian.workflows(), &tenant).await?;
    }
    Ok(())
}

/// Ctrl-C, or what ends a container.
async fn told_to_stop() {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = terminate.recv() => {}
            interrupted = tokio::signal::ctrl_c() => {
                if interrupted.is_err() {
                    terminate.recv().await;
                }
            }
        }
        return;
    }
    // If the signal cannot be waited for, running on is better than ending at once.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Everything but the index passes one stack: a request is limited by its address, then its key is checked, then from where it is used, then
/// the tenant's own limits are. What changes something is in the audit log by the transaction that changes it.
fn router(app: App) -> Result<Router, Box<dyn Error>> {
    let seats = from_fn_with_state(app.clone(), quotas::take_a_seat);
    let stack = Stack::new()
        .request_id(RequestIdLayer::new())
        .address_limits(app.limits.before_auth()?)
        .authenticate(AuthenticateLayer::new(auth::DemoKeys))
        .tenant(app.guardian.tenant_layer())
        .addresses(addresses::layer(app.guardian.addresses()))
        .limits(app.limits.after_auth()?)
        // What the limits deny is no call that anybody pays for.
        .quota((seats, quotas::calls(app.guardian.quotas())?))
        // A record is a form that somebody fills in.
        .body(BodyLimitsLayer::new().max_bytes(64 << 10));
    let api = routes::api(app.guardian.roles())?
        .merge(trail::api().layer(roles::takes(app.guardian.roles(), "audit:read")?))
        .merge(automate::api(app.guardian.roles())?)
        .merge(webhooks::api(app.guardian.roles())?)
        .merge(moods::api(app.guardian.roles())?)
        .merge(roles::api())
        .merge(addresses::api(app.guardian.roles())?)
        .merge(quotas::api())
        .merge(api::routes(&app)?)
        .fallback(routes::not_found)
        .method_not_allowed_fallback(routes::method_not_allowed)
        .layer(stack);
    Ok(routes::index().merge(api).with_state(app))
}

/// What the command line asks for.
struct Wanted {
    port: Option<u16>,
    db: String,
    /// A port of this machine that webhooks may go to.
    hooks: Option<u16>,
    /// Where limits count, for several processes.
    redis: Option<String>,
    /// How many connections there are at once.
    connections: usize,
}

impl Wanted {
    const USAGE: &str = "usage: crm [--port N] [--db URL] [--redis URL] [--hooks PORT] [--connections N], where the first URL is `sqlite://FILE`, `sqlite::memory:` or `postgres://…`";

    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut wanted = Self {
            port: None,
            db: "sqlite://crm.db".to_owned(),
            hooks: None,
            redis: None,
            connections: 4_096,
        };
        while let Some(option) = arguments.next() {
            match (option.as_str(), arguments.next()) {
                ("--port", Some(port)) => {
                    let port =
                        port.parse().map_err(|_| format!("`{port}` is not a port, give 0 to 65535"))?;
                    wanted.port = Some(port);
                }
                ("--db", Some(url)) => wanted.db = url,
                ("--redis", Some(url)) => wanted.redis = Some(url),
                ("--hooks", Some(port)) => {
                    wanted.hooks =
                        Some(port.parse().map_err(|_| format!("`{port}` is not a port, give 0 to 65535"))?);
                }
                ("--connections", Some(most)) => {
                    wanted.connections = most.parse().map_err(|_| format!("`{most}` is no number"))?;
                }
                _ => return Err(Self::USAGE.into()),
            }
        }
        Ok(wanted)
    }
}

/// Only on the loopback address: the demo's keys are public.
async fn listen(wanted: Option<u16>) -> Result<TcpListener, Box<dyn Error>> {
    const DEFAULT_PORT: u16 = 3000;
    let port = wanted.unwrap_or(DEFAULT_PORT);
    match (TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await, wanted) {
        (Ok(listener), _) => Ok(listener),
        (Err(error), None) if error.kind() == ErrorKind::AddrInUse => {
            Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?)
        }
        (Err(error), _) => Err(format!("port {port}: {error}").into()),
    }
}

fn introduce(address: SocketAddr, db: &Database) {
    println!("CRM demo on http://{address} with its data in {} (Ctrl-C to stop)\n", db.dialect().name());
    println!("  tenant   plan       role         API key");
    for key in &DEMO_KEYS {
        println!("  {:<8} {:<10} {:<12} {}", key.tenant, key.plan, key.role, key.secret);
    }
    println!("  operator                         {ADMIN_KEY}\n");
    let [key, ..] = &DEMO_KEYS;
    let bearer = format!("-H 'Authorization: Bearer {}'", key.secret);
    println!("Create a contact, see who did, see the tenant's limits, run into one of them:\n");
    println!(
        "  curl -i http://{address}/contacts {bearer} --json '{{\"name\":\"Ada\",\"email\":\"ada@example.com\"}}'"
    );
    println!("  curl 'http://{address}/audit?q=action:contact.*' {bearer}");
    println!("  curl http://{address}/permissions {bearer}");
    println!("  curl http://{address}/usage {bearer}");
    println!("  curl http://{address}/v1/openapi.json {bearer}   # the API of administrators, described");
    println!("  curl http://{address}/v1/role-matrix {bearer}");
    println!(
        "  curl http://{address}/notes {bearer} --json '{{\"text\":\"Ada is delighted with the export\",\"account\":\"ada-inc\"}}'"
    );
    println!("  curl 'http://{address}/sentiment?of=account:ada-inc' {bearer}");
    println!(
        "  curl -X PUT http://{address}/addresses {bearer} -H 'Content-Type: text/plain' --data-binary $'allow 127.0.0.1\\ndeny 203.0.113.0/24'"
    );
    println!("  curl -i http://{address}/contacts {bearer} -H 'X-Forwarded-For: 203.0.113.9'");
    println!(
        "  curl http://{address}/deals {bearer} --json '{{\"title\":\"Fleet\",\"amount_cents\":990000,\"stage\":\"won\"}}'"
    );
    println!("  curl http://{address}/workflows/follow-up/runs {bearer}");
    println!(
        "  curl http://{address}/v1/platform/tenants/{}/rate-limits -H 'Authorization: Bearer {ADMIN_KEY}'",
        key.tenant
    );
    println!(
        "  for i in $(seq 15); do curl -so /dev/null -w '%{{http_code}} ' http://{address}/contacts {bearer}; done; \
         curl -si http://{address}/contacts {bearer}\n"
    );
}
