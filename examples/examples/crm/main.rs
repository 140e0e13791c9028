//! A small multi-tenant CRM behind Guardian: contacts, deals and notes of two customers on two plans.
//!
//! ```sh
//! cargo run --example crm              # port 3000, or a free one if that is taken; data in `crm.db`
//! cargo run --example crm -- --port 0 --db sqlite::memory:
//! cargo run --example crm -- --db postgres://user:password@localhost/crm
//! ```
//!
//! It prints its keys and commands to try. The files, in reading order: `limits.rs` (what is limited), `auth.rs` (who is
//! asking), `addresses.rs` (from where), `roles.rs` (what a key may do), `routes.rs` (the API), `admin.rs` (plans, changed while it
//! runs), `api.rs` (the ready-made API of administrators), `store.rs` (the data), `trail.rs` (who changed it), `quotas.rs` (what a
//! plan includes), `automate.rs` (what happens by itself then), `moods.rs` (how notes sound), `webhooks.rs` (who is told).
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it tells a person at a terminal how to use it"
)]

mod addresses;
mod admin;
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
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use guardian::core::Scope;
use guardian::rbac::Rbac;
use guardian::sql::Database;
use tokio::net::TcpListener;
use tokio::sync::watch;

use addresses::Addresses;
use auth::{ADMIN_KEY, DEMO_KEYS};
use automate::Automation;
use limits::Limits;
use store::Crm;
use trail::Trail;
use webhooks::Hooks;

/// What every handler can reach.
#[derive(Clone)]
struct App {
    crm: Arc<Crm>,
    limits: Arc<Limits>,
    automation: automate::Shared,
    hooks: Arc<Hooks>,
    rbac: Rbac,
    addresses: Addresses,
    quotas: quotas::Shared,
    moods: moods::Moods,
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
    let limits = Arc::new(Limits::load(db.clone(), auth::tenants()).await?);
    let trail = Trail::open(db.clone(), auth::tenants().collect()).await?;
    let automation = Arc::new(Automation::open(db.clone(), auth::tenants().collect()).await?);
    let hooks = Arc::new(Hooks::open(db.clone(), wanted.hooks).await?);
    let rbac = roles::open(db.clone(), auth::tenants().collect()).await?;
    let addresses = addresses::open(db.clone(), auth::tenants().collect(), trail.sink()).await?;
    let quotas = quotas::open(db.clone()).await?;
    let moods = moods::open(db.clone(), auth::tenants().collect(), trail.sink(), Arc::clone(&hooks)).await?;
    // Other processes on the same database: what they change is seen within a quarter of a second.
    let follower = tokio::spawn(follow(rbac.clone(), Arc::clone(&addresses)));
    let (stop, stopped) = watch::channel(false);
    let deliveries = tokio::spawn(Arc::clone(&hooks).deliver(stopped));
    let crm = Arc::new(Crm::new(db.clone(), trail, Arc::clone(&hooks)));
    moods::catch_up(&crm, &moods, auth::tenants().collect()).await?;
    let router = router(App { crm, limits, automation, hooks, rbac, addresses, quotas, moods })?;
    let listener = listen(wanted.port).await?;
    introduce(listener.local_addr()?, &db);

    // Without `connect_info` nobody knows the peer's address, and the layer that counts addresses refuses everything.
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service)
        .with_graceful_shutdown(async {
            // If the signal cannot be waited for, running on is better than ending at once.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .await?;
    follower.abort();
    stop.send_replace(true);
    deliveries.await?;
    db.close().await;
    println!("stopped");
    Ok(())
}

async fn follow(rbac: Rbac, addresses: Addresses) {
    let mut turns = tokio::time::interval(Duration::from_millis(250));
    loop {
        turns.tick().await;
        if let Err(error) = rbac.follow().await {
            eprintln!("crm: roles: {error}");
        }
        for tenant in auth::tenants() {
            if let Err(error) = addresses.refresh(&Scope::system(tenant)).await {
                eprintln!("crm: addresses: {error}");
            }
        }
    }
}

/// Layers wrap what is already there, so the last one is the first to see a request: addresses are counted first, then
/// the key is checked, then from where it is used, then the tenant's own limits are.
fn router(app: App) -> Result<Router, Box<dyn Error>> {
    let tenant_api = routes::api(&app.rbac)?
        .merge(trail::api().layer(roles::takes(&app.rbac, "audit:read")?))
        .merge(automate::api(&app.rbac)?)
        .merge(webhooks::api(&app.rbac)?)
        .merge(moods::api(&app.rbac)?)
        .merge(roles::api())
        .merge(addresses::api(&app.rbac)?)
        .merge(quotas::api())
        .merge(api::routes(&app)?)
        // What the limits deny is no call that anybody pays for.
        .layer(quotas::calls(&app.quotas)?)
        .layer(from_fn_with_state(app.clone(), quotas::take_a_seat))
        .layer(app.limits.after_auth()?)
        .layer(addresses::layer(&app.addresses))
        .layer(from_fn(auth::require_key));
    let admin_api = admin::api().merge(quotas::admin_api()).layer(from_fn(auth::require_admin));
    let before_auth = app.limits.before_auth()?;
    Ok(routes::index()
        .merge(tenant_api)
        .nest("/admin", admin_api)
        .fallback(routes::not_found)
        .method_not_allowed_fallback(routes::method_not_allowed)
        .layer(before_auth)
        .with_state(app))
}

/// What the command line asks for.
struct Wanted {
    port: Option<u16>,
    db: String,
    /// A port of this machine that webhooks may go to.
    hooks: Option<u16>,
}

impl Wanted {
    const USAGE: &str = "usage: crm [--port N] [--db URL] [--hooks PORT], where URL is `sqlite://FILE`, `sqlite::memory:` or `postgres://…`";

    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut wanted = Self { port: None, db: "sqlite://crm.db".to_owned(), hooks: None };
        while let Some(option) = arguments.next() {
            match (option.as_str(), arguments.next()) {
                ("--port", Some(port)) => {
                    let port =
                        port.parse().map_err(|_| format!("`{port}` is not a port, give 0 to 65535"))?;
                    wanted.port = Some(port);
                }
                ("--db", Some(url)) => wanted.db = url,
                ("--hooks", Some(port)) => {
                    wanted.hooks =
                        Some(port.parse().map_err(|_| format!("`{port}` is not a port, give 0 to 65535"))?);
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
        "  curl http://{address}/admin/tenants/{}/limits -H 'Authorization: Bearer {ADMIN_KEY}'",
        key.tenant
    );
    println!(
        "  for i in $(seq 15); do curl -so /dev/null -w '%{{http_code}} ' http://{address}/contacts {bearer}; done; \
         curl -si http://{address}/contacts {bearer}\n"
    );
}
