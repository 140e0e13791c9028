//! Rate limits that tenants have of their own: kept, and taken up by other processes.

#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod on_a_database {
    use axum::body::Body;
    use guardian_assembly::{Guardian, Sql};
    use guardian_core::{Actor, Scope};
    use guardian_http::api::Operator;
    use guardian_ratelimit::{Policy, Subject};
    use guardian_sql::testkit::Kind;
    use tower::ServiceExt as _;

    use crate::host::{Ears, Letterbox, builder, recorded, tenant};

    async fn process(url: &str) -> Guardian<Sql> {
        let builder = builder(&Ears::default(), &Letterbox::default());
        let builder = builder.limit(Policy::new("per-org", "120/min burst 40").unwrap());
        builder.open(url).await.unwrap()
    }

    fn rule_of(guardian: &Guardian<Sql>, of: &str) -> String {
        let limiter = guardian.limiter();
        let id = limiter.find("per-org").unwrap();
        limiter.effective_rule(id, &tenant(of), Subject::Whole).unwrap().to_string()
    }

    async fn ask(guardian: &Guardian<Sql>, method: &str, body: &'static str) -> u16 {
        let router = guardian.administration("Test", "1.0.0", Default::default()).into_router().unwrap();
        let scope = Scope::new(guardian.operator().tenant().clone(), Actor::user("op").unwrap());
        let mut request = axum::http::Request::builder()
            .method(method)
            .uri("/platform/tenants/acme/rate-limits/per-org")
            .header("guardian-reason", "a larger plan")
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap();
        request.extensions_mut().insert(scope.clone());
        request.extensions_mut().insert(Operator(scope));
        router.oneshot(request).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn a_rule_reaches_other_processes_and_outlives_them() {
        for kind in Kind::all().iter().filter(|kind| **kind != Kind::SqliteMemory) {
            let fresh = kind.open(&[]).await.unwrap();
            let (one, two) = (process(fresh.owner_url()).await, process(fresh.owner_url()).await);
            let default = rule_of(&two, "acme");
            assert_eq!(ask(&one, "PUT", r#"{"rule": "600/min burst 100"}"#).await, 200);
            assert_eq!(rule_of(&one, "acme"), "600/min burst 100");
            two.workers().run_once().await.unwrap();
            assert_eq!(rule_of(&two, "acme"), "600/min burst 100", "{kind:?}");
            assert_eq!(rule_of(&two, "globex"), default);
            let three = process(fresh.owner_url()).await;
            assert_eq!(rule_of(&three, "acme"), "600/min burst 100");
            // Who did it and why stands in the operator's log.
            assert_eq!(recorded(&one, one.operator(), "rate_limit.rules_changed").await, 1);

            assert_eq!(ask(&one, "DELETE", "").await, 200);
            for other in [&two, &three] {
                other.workers().run_once().await.unwrap();
                assert_eq!(rule_of(other, "acme"), default, "{kind:?}");
            }
            assert_eq!(rule_of(&process(fresh.owner_url()).await, "acme"), default);
            for each in [one, two, three] {
                each.database().close().await;
            }
        }
    }
}
