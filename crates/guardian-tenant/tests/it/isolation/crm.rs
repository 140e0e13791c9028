//! A small CRM in SQL, and the operations that every CRM here has.

use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::Scope;
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{Database, Migration, Migrations, Row, params};
use guardian_tenant::isolation::{
    Arg, Failure, Host, Mark, Mutant, MutantKind, Output, Saboteur, Seeds, Suite, World,
};
use guardian_tenant::rls::{Rls, TenantTable};
use serde::Serialize;

use crate::lint::{run, unscoped};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Deal {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) amount: i64,
    pub(crate) company: String,
}

/// What a CRM does; the same for memory and SQL, so that the same suite tries both.
#[async_trait]
pub(crate) trait Deals: World {
    async fn get(&self, scope: &Scope, id: &str) -> Result<Option<Deal>, Failure>;
    async fn list(&self, scope: &Scope, after: &str) -> Result<Vec<Deal>, Failure>;
    async fn sorted(&self, scope: &Scope, by: &str) -> Result<Vec<Deal>, Failure>;
    async fn search(&self, scope: &Scope, title: &str) -> Result<Vec<Deal>, Failure>;
    async fn of_company(&self, scope: &Scope, company: &str) -> Result<Vec<Deal>, Failure>;
    async fn with_company(&self, scope: &Scope, id: &str) -> Result<Vec<(String, String)>, Failure>;
    async fn total(&self, scope: &Scope) -> Result<(i64, i64), Failure>;
    async fn put(&self, scope: &Scope, deal: Deal) -> Result<u64, Failure>;
    async fn put_for(&self, scope: &Scope, tenant: &str, deal: Deal) -> Result<u64, Failure>;
    async fn rename(&self, scope: &Scope, id: &str, title: &str) -> Result<u64, Failure>;
    async fn delete(&self, scope: &Scope, ids: &[String]) -> Result<u64, Failure>;
    async fn raise(&self, scope: &Scope, company: &str, by: i64) -> Result<u64, Failure>;
}

fn page(deals: Vec<Deal>) -> Result<Output, Failure> {
    let last = deals.last().map(|deal| deal.id.clone());
    let count = deals.len() as u64;
    let output = Output::of(deals)?.count(count);
    Ok(match last {
        Some(last) => output.cursor(last),
        None => output,
    })
}

/// Every operation of a CRM, registered.
pub(crate) fn operations<H: Host<World: Deals>>(suite: Suite<H>) -> Suite<H> {
    let (deal, deals, company) = (Arg::id("deal"), Arg::ids("deal"), Arg::reference("company"));
    suite
        .read("deal.get", [deal.clone()], |crm: Arc<H::World>, scope, args| async move {
            Output::of(crm.get(&scope, args.text(0)).await?)
        })
        .read("deal.list", [Arg::cursor("deal.list")], |crm: Arc<H::World>, scope, args| async move {
            page(crm.list(&scope, args.text(0)).await?)
        })
        .read(
            "deal.sorted",
            [Arg::choice(["title", "amount"])],
            |crm: Arc<H::World>, scope, args| async move { page(crm.sorted(&scope, args.text(0)).await?) },
        )
        .read("deal.search", [Arg::filter("title")], |crm: Arc<H::World>, scope, args| async move {
            page(crm.search(&scope, args.text(0)).await?)
        })
        .read("deal.of_company", [company.clone()], |crm: Arc<H::World>, scope, args| async move {
            page(crm.of_company(&scope, args.text(0)).await?)
        })
        .read("deal.with_company", [deal.clone()], |crm: Arc<H::World>, scope, args| async move {
            Output::of(crm.with_company(&scope, args.text(0)).await?)
        })
        .read("deal.export", [], |crm: Arc<H::World>, scope, _| async move {
            let rows = crm.sorted(&scope, "title").await?;
            let csv: String =
                rows.iter().map(|deal| format!("{},{},{}\n", deal.id, deal.title, deal.amount)).collect();
            Ok(Output::none().count(rows.len() as u64).export(csv))
        })
        .operation(
            guardian_tenant::isolation::Operation::read(
                "deal.total",
                [],
                |crm: Arc<H::World>, scope, _| async move { Output::of(crm.total(&scope).await?) },
            )
            .showing_no_text(),
        )
        .write(
            "deal.put",
            [deal.clone(), Arg::Text, Arg::Int(1, 99), company.clone()],
            |crm: Arc<H::World>, scope, args| async move {
                let (id, title) = (args.text(0).to_owned(), args.text(1).to_owned());
                let deal = Deal { id, title, amount: args.int(2), company: args.text(3).to_owned() };
                Ok(Output::none().count(crm.put(&scope, deal).await?))
            },
        )
        .write(
            "deal.put_for",
            [Arg::Tenant, deal.clone(), Arg::Text, company.clone()],
            |crm: Arc<H::World>, scope, args| async move {
                let (id, title) = (args.text(1).to_owned(), args.text(2).to_owned());
                let deal = Deal { id, title, amount: 1, company: args.text(3).to_owned() };
                Ok(Output::none().count(crm.put_for(&scope, args.text(0), deal).await?))
            },
        )
        .write("deal.rename", [deal, Arg::Text], |crm: Arc<H::World>, scope, args| async move {
            Ok(Output::none().count(crm.rename(&scope, args.text(0), args.text(1)).await?))
        })
        .write("deal.raise", [company, Arg::Int(1, 9)], |crm: Arc<H::World>, scope, args| async move {
            Ok(Output::none().count(crm.raise(&scope, args.text(0), args.int(1)).await?))
        })
        .write("deal.delete", [deals], |crm: Arc<H::World>, scope, args| async move {
            Ok(Output::none().count(crm.delete(&scope, args.list(0)).await?))
        })
}

/// What a tenant starts with: some ids of its own, and one that every tenant has.
pub(crate) fn start(mark: &Mark) -> (Vec<String>, Vec<Deal>) {
    let companies = vec![mark.id(1), mark.id(2), mark.shared_id(1)];
    let ids = [mark.id(10), mark.id(11), mark.id(12), mark.shared_id(10), mark.shared_id(11)];
    let deals = ids.into_iter().zip(0_u32..).map(|(id, n)| Deal {
        id,
        title: mark.text(&format!("deal {n}")),
        amount: mark.number(n),
        company: companies[n as usize % companies.len()].clone(),
    });
    (companies.clone(), deals.collect())
}

pub(crate) fn seeds(companies: Vec<String>, deals: &[Deal]) -> Seeds {
    Seeds::new()
        .with("company", companies)
        .with("deal", deals.iter().map(|deal| &deal.id))
        .with("title", deals.iter().map(|deal| &deal.title))
}

const MIGRATIONS: Migrations = Migrations::new(
    "crm",
    &[Migration::same(
        1,
        "crm",
        "CREATE TABLE companies (tenant_id TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (tenant_id, id));
         CREATE TABLE deals (tenant_id TEXT NOT NULL, id TEXT NOT NULL, title TEXT NOT NULL, amount BIGINT NOT NULL,
           company_id TEXT NOT NULL, PRIMARY KEY (tenant_id, id),
           FOREIGN KEY (tenant_id, company_id) REFERENCES companies (tenant_id, id));",
    )],
);

/// Which walls stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Walls {
    /// Predicates, and on Postgres row-level security behind them.
    Both,
    /// Only predicates, when one of them is dropped.
    PredicatesWhenDropped,
}

pub(crate) struct SqlHost {
    kind: Kind,
    saboteur: Saboteur,
    walls: Walls,
}

impl SqlHost {
    pub(crate) fn new(kind: Kind, saboteur: Saboteur, walls: Walls) -> Self {
        Self { kind, saboteur, walls }
    }
}

#[async_trait]
impl Host for SqlHost {
    type World = SqlCrm;

    async fn build(&self, mutant: Option<&Mutant>) -> Result<SqlCrm, Failure> {
        let fresh = self.kind.open(&[&MIGRATIONS]).await?;
        let mut db = fresh.database().clone();
        if let Some(role) = fresh.app_role() {
            let tables = [
                TenantTable::new("public", "companies")?.key(["id"])?,
                TenantTable::new("public", "deals")?.key(["id"])?.references(
                    ["company_id"],
                    "public",
                    "companies",
                    ["id"],
                )?,
            ];
            let rls = Rls::new().application_role(role)?;
            rls.plan(&tables).install(fresh.owner(), &unscoped()).await?;
            let open = match mutant.map(Mutant::kind) {
                Some(MutantKind::SwappedRole) => true,
                Some(MutantKind::DroppedPredicate) => self.walls == Walls::PredicatesWhenDropped,
                _ => false,
            };
            if open {
                // As the owner of tables that are not forced, so that no policy holds.
                let tables = "ALTER TABLE deals NO FORCE ROW LEVEL SECURITY; ALTER TABLE companies NO FORCE ROW LEVEL SECURITY";
                run(fresh.owner(), tables).await;
                db = fresh.owner().clone();
            }
        }
        let db = db.with_interceptor(self.saboteur.breaking(mutant));
        Ok(SqlCrm { db, fresh })
    }
}

pub(crate) struct SqlCrm {
    db: Database,
    fresh: Fresh,
}

fn deal(row: &Row) -> Result<Deal, guardian_core::StoreError> {
    Ok(Deal {
        id: row.get("id")?,
        title: row.get("title")?,
        amount: row.get("amount")?,
        company: row.get("company_id")?,
    })
}

impl SqlCrm {
    async fn deals(
        &self,
        scope: &Scope,
        sql: &'static str,
        params: &[guardian_sql::Param<'_>],
    ) -> Result<Vec<Deal>, Failure> {
        let mut tx = self.db.begin_read(scope).await?;
        let rows = tx.fetch_all(sql, params).await?;
        tx.commit().await?;
        Ok(rows.iter().map(deal).collect::<Result<_, _>>()?)
    }

    async fn change(
        &self,
        scope: &Scope,
        sql: &'static str,
        params: &[guardian_sql::Param<'_>],
    ) -> Result<u64, Failure> {
        let mut tx = self.db.begin(scope).await?;
        let changed = tx.execute(sql, params).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// Reads without any predicate: what row-level security alone lets through.
    pub(crate) async fn probe(&self, scope: &Scope) -> Result<Output, Failure> {
        page(
            self.deals(scope, "SELECT id, title, amount, company_id FROM deals ORDER BY tenant_id, id", &[])
                .await?,
        )
    }
}

#[async_trait]
impl World for SqlCrm {
    async fn seed(&self, scope: &Scope, mark: &Mark) -> Result<Seeds, Failure> {
        let (companies, deals) = start(mark);
        let mut tx = self.db.begin(scope).await?;
        for id in &companies {
            let name = mark.text("company");
            tx.execute(
                "INSERT INTO companies (tenant_id, id, name) VALUES ($1, $2, $3)",
                params![scope.tenant(), id, name],
            )
            .await?;
        }
        tx.commit().await?;
        for deal in &deals {
            self.put(scope, deal.clone()).await?;
        }
        Ok(seeds(companies, &deals))
    }

    async fn snapshot(&self, scope: &Scope) -> Result<String, Failure> {
        // On the owner's own connection, where no test breaks anything.
        let mut tx = self.fresh.owner().begin_read(scope).await?;
        let mut text = String::new();
        for sql in [
            "SELECT id, title, amount, company_id FROM deals WHERE tenant_id = $1 ORDER BY id",
            "SELECT id, name AS title, 0 AS amount, '' AS company_id FROM companies WHERE tenant_id = $1 ORDER BY id",
        ] {
            for row in tx.fetch_all(sql, params![scope.tenant()]).await? {
                let (id, title): (String, String) = (row.get("id")?, row.get("title")?);
                let amount = row.get::<i64>("amount").unwrap_or_default();
                let company: String = row.get("company_id")?;
                text.push_str(&format!("{id} {title} {amount} {company}\n"));
            }
        }
        tx.commit().await?;
        Ok(text)
    }
}

#[async_trait]
impl Deals for SqlCrm {
    async fn get(&self, scope: &Scope, id: &str) -> Result<Option<Deal>, Failure> {
        let sql = "SELECT id, title, amount, company_id FROM deals WHERE tenant_id = $1 AND id = $2 ORDER BY title LIMIT 1";
        Ok(self.deals(scope, sql, params![scope.tenant(), id]).await?.pop())
    }

    async fn list(&self, scope: &Scope, after: &str) -> Result<Vec<Deal>, Failure> {
        let sql = "SELECT id, title, amount, company_id FROM deals WHERE tenant_id = $1 AND id > $2 ORDER BY id, title LIMIT 4";
        self.deals(scope, sql, params![scope.tenant(), after]).await
    }

    async fn sorted(&self, scope: &Scope, by: &str) -> Result<Vec<Deal>, Failure> {
        let sql = match by {
            "title" => {
                "SELECT id, title, amount, company_id FROM deals WHERE tenant_id = $1 ORDER BY title, id"
            }
            "amount" => {
                "SELECT id, title, amount, company_id FROM deals WHERE tenant_id = $1 ORDER BY amount DESC, id"
            }
            other => return Err(format!("no such order: `{other}`").into()),
        };
        self.deals(scope, sql, params![scope.tenant()]).await
    }

    async fn search(&self, scope: &Scope, title: &str) -> Result<Vec<Deal>, Failure> {
        let sql = "SELECT id, title, amount, company_id FROM deals WHERE title LIKE '%' || $2 || '%' AND tenant_id = $1 ORDER BY id, title";
        self.deals(scope, sql, params![scope.tenant(), title]).await
    }

    async fn of_company(&self, scope: &Scope, company: &str) -> Result<Vec<Deal>, Failure> {
        let sql = "SELECT id, title, amount, company_id FROM deals WHERE company_id = $2 AND tenant_id = $1 ORDER BY id, title";
        self.deals(scope, sql, params![scope.tenant(), company]).await
    }

    async fn with_company(&self, scope: &Scope, id: &str) -> Result<Vec<(String, String)>, Failure> {
        let mut tx = self.db.begin_read(scope).await?;
        let rows = tx
            .fetch_all(
                "SELECT d.title, c.name FROM deals AS d JOIN companies AS c ON c.tenant_id = d.tenant_id AND c.id = d.company_id \
                 WHERE d.tenant_id = $1 AND d.id = $2 ORDER BY d.title, c.name DESC",
                params![scope.tenant(), id],
            )
            .await?;
        tx.commit().await?;
        Ok(rows
            .iter()
            .map(|row| Ok::<_, Failure>((row.get("title")?, row.get("name")?)))
            .collect::<Result<_, _>>()?)
    }

    async fn total(&self, scope: &Scope) -> Result<(i64, i64), Failure> {
        let mut tx = self.db.begin_read(scope).await?;
        let row = tx
            .fetch_one(
                "SELECT count(*) AS deals, CAST(COALESCE(sum(amount), 0) AS BIGINT) AS total FROM deals WHERE tenant_id = $1",
                params![scope.tenant()],
            )
            .await?;
        tx.commit().await?;
        Ok((row.get("deals")?, row.get("total")?))
    }

    async fn put(&self, scope: &Scope, deal: Deal) -> Result<u64, Failure> {
        let sql = "INSERT INTO deals (tenant_id, id, title, amount, company_id) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (tenant_id, id) DO UPDATE SET title = excluded.title, amount = excluded.amount, \
                   company_id = excluded.company_id";
        self.change(scope, sql, params![scope.tenant(), deal.id, deal.title, deal.amount, deal.company]).await
    }

    async fn put_for(&self, scope: &Scope, tenant: &str, deal: Deal) -> Result<u64, Failure> {
        if tenant != scope.tenant().as_str() {
            return Err("this is another tenant's".into());
        }
        self.put(scope, deal).await
    }

    async fn rename(&self, scope: &Scope, id: &str, title: &str) -> Result<u64, Failure> {
        let sql = "UPDATE deals SET title = $3 WHERE tenant_id = $1 AND id = $2";
        self.change(scope, sql, params![scope.tenant(), id, title]).await
    }

    async fn delete(&self, scope: &Scope, ids: &[String]) -> Result<u64, Failure> {
        let mut tx = self.db.begin(scope).await?;
        let mut changed = 0;
        for id in ids {
            changed += tx
                .execute("DELETE FROM deals WHERE id = $2 AND tenant_id = $1", params![scope.tenant(), id])
                .await?;
        }
        tx.commit().await?;
        Ok(changed)
    }

    async fn raise(&self, scope: &Scope, company: &str, by: i64) -> Result<u64, Failure> {
        let sql = "UPDATE deals SET amount = amount + $3 WHERE tenant_id = $1 AND company_id IN \
                   (SELECT c.id FROM companies AS c WHERE c.tenant_id = $1 AND c.id = $2)";
        self.change(scope, sql, params![scope.tenant(), company, by]).await
    }
}
