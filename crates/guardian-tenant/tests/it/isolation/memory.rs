//! The same CRM in memory, which may forget the tenant in one operation.

use std::collections::BTreeMap;

use async_trait::async_trait;
use guardian_core::Scope;
use guardian_tenant::isolation::{Failure, Host, Mark, Mutant, Seeds, World};
use parking_lot::Mutex;

use super::crm::{Deal, Deals, seeds, start};

/// Where it may forget.
pub(crate) const FORGETFUL: [&str; 11] = [
    "get",
    "list",
    "sorted",
    "search",
    "of_company",
    "with_company",
    "total",
    "put",
    "put_for",
    "rename",
    "delete",
];

pub(crate) struct MemoryHost;

#[async_trait]
impl Host for MemoryHost {
    type World = MemoryCrm;

    async fn build(&self, mutant: Option<&Mutant>) -> Result<MemoryCrm, Failure> {
        Ok(MemoryCrm { forgets: mutant.map(|mutant| mutant.name().to_owned()), ..MemoryCrm::default() })
    }
}

type Key = (String, String);

#[derive(Default)]
pub(crate) struct MemoryCrm {
    deals: Mutex<BTreeMap<Key, Deal>>,
    companies: Mutex<BTreeMap<Key, String>>,
    forgets: Option<String>,
}

impl MemoryCrm {
    fn forgets(&self, operation: &str) -> bool {
        self.forgets.as_deref() == Some(operation)
    }

    fn find(&self, scope: &Scope, operation: &str, wanted: impl Fn(&Deal) -> bool) -> Vec<Deal> {
        let any = self.forgets(operation);
        let deals = self.deals.lock();
        let own = |key: &Key| any || key.0 == scope.tenant().as_str();
        deals.iter().filter(|(key, deal)| own(key) && wanted(deal)).map(|(_, deal)| deal.clone()).collect()
    }

    fn change(
        &self,
        scope: &Scope,
        operation: &str,
        wanted: impl Fn(&Deal) -> bool,
        change: impl Fn(&mut Deal),
    ) -> u64 {
        let any = self.forgets(operation);
        let mut changed = 0;
        for (key, deal) in self.deals.lock().iter_mut() {
            if (any || key.0 == scope.tenant().as_str()) && wanted(deal) {
                change(deal);
                changed += 1;
            }
        }
        changed
    }

    fn has_company(&self, tenant: &str, company: &str, any: bool) -> bool {
        self.companies.lock().keys().any(|key| (any || key.0 == tenant) && key.1 == company)
    }
}

#[async_trait]
impl World for MemoryCrm {
    async fn seed(&self, scope: &Scope, mark: &Mark) -> Result<Seeds, Failure> {
        let (companies, deals) = start(mark);
        let tenant = scope.tenant().to_string();
        for id in &companies {
            self.companies.lock().insert((tenant.clone(), id.clone()), mark.text("company"));
        }
        for deal in &deals {
            self.deals.lock().insert((tenant.clone(), deal.id.clone()), deal.clone());
        }
        Ok(seeds(companies, &deals))
    }

    async fn snapshot(&self, scope: &Scope) -> Result<String, Failure> {
        let deals = self.deals.lock();
        let own: Vec<_> = deals.iter().filter(|(key, _)| key.0 == scope.tenant().as_str()).collect();
        Ok(format!("{own:?}"))
    }
}

#[async_trait]
impl Deals for MemoryCrm {
    async fn get(&self, scope: &Scope, id: &str) -> Result<Option<Deal>, Failure> {
        Ok(self.find(scope, "get", |deal| deal.id == id).pop())
    }

    async fn list(&self, scope: &Scope, after: &str) -> Result<Vec<Deal>, Failure> {
        let mut deals = self.find(scope, "list", |deal| deal.id.as_str() > after);
        deals.sort_by(|a, b| a.id.cmp(&b.id));
        deals.truncate(4);
        Ok(deals)
    }

    async fn sorted(&self, scope: &Scope, by: &str) -> Result<Vec<Deal>, Failure> {
        let mut deals = self.find(scope, "sorted", |_| true);
        match by {
            "title" => deals.sort_by(|a, b| (&a.title, &a.id).cmp(&(&b.title, &b.id))),
            "amount" => deals.sort_by(|a, b| (b.amount, &a.id).cmp(&(a.amount, &b.id))),
            other => return Err(format!("no such order: `{other}`").into()),
        }
        Ok(deals)
    }

    async fn search(&self, scope: &Scope, title: &str) -> Result<Vec<Deal>, Failure> {
        Ok(self.find(scope, "search", |deal| deal.title.contains(title)))
    }

    async fn of_company(&self, scope: &Scope, company: &str) -> Result<Vec<Deal>, Failure> {
        Ok(self.find(scope, "of_company", |deal| deal.company == company))
    }

    async fn with_company(&self, scope: &Scope, id: &str) -> Result<Vec<(String, String)>, Failure> {
        let Some(deal) = self.find(scope, "with_company", |deal| deal.id == id).pop() else {
            return Ok(Vec::new());
        };
        let companies = self.companies.lock();
        let name =
            companies.iter().find(|(key, _)| key.1 == deal.company && key.0 == scope.tenant().as_str());
        Ok(vec![(deal.title, name.map(|(_, name)| name.clone()).unwrap_or_default())])
    }

    async fn total(&self, scope: &Scope) -> Result<(i64, i64), Failure> {
        let deals = self.find(scope, "total", |_| true);
        Ok((i64::try_from(deals.len())?, deals.iter().map(|deal| deal.amount).sum()))
    }

    async fn put(&self, scope: &Scope, deal: Deal) -> Result<u64, Failure> {
        let tenant = scope.tenant().to_string();
        // The foreign key of a database without the tenant in it.
        if !self.has_company(&tenant, &deal.company, self.forgets("put")) {
            return Err("no such company".into());
        }
        self.deals.lock().insert((tenant, deal.id.clone()), deal);
        Ok(1)
    }

    async fn put_for(&self, scope: &Scope, tenant: &str, deal: Deal) -> Result<u64, Failure> {
        if tenant != scope.tenant().as_str() && !self.forgets("put_for") {
            return Err("this is another tenant's".into());
        }
        if !self.has_company(tenant, &deal.company, false) {
            return Err("no such company".into());
        }
        self.deals.lock().insert((tenant.to_owned(), deal.id.clone()), deal);
        Ok(1)
    }

    async fn rename(&self, scope: &Scope, id: &str, title: &str) -> Result<u64, Failure> {
        Ok(self.change(scope, "rename", |deal| deal.id == id, |deal| title.clone_into(&mut deal.title)))
    }

    async fn delete(&self, scope: &Scope, ids: &[String]) -> Result<u64, Failure> {
        let any = self.forgets("delete");
        let mut deals = self.deals.lock();
        let before = deals.len();
        deals.retain(|key, _| !(ids.contains(&key.1) && (any || key.0 == scope.tenant().as_str())));
        Ok((before - deals.len()) as u64)
    }

    async fn raise(&self, scope: &Scope, company: &str, by: i64) -> Result<u64, Failure> {
        Ok(self.change(scope, "raise", |deal| deal.company == company, |deal| deal.amount += by))
    }
}
