use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use guardian_core::Clock;
use guardian_ratelimit::store::Store;
use guardian_ratelimit::{AnyStore, FastClock};
use http::request::Parts;
use http::{Request, Response};
use tower_service::Service;

use super::LimitedBody;
use super::body::Held;
use super::fields::Fields;
use super::layer::Config;
use super::refusal::Refusal;
use super::request::Asked;

/// A service behind rate limits; made by [`RateLimitLayer`](crate::RateLimitLayer).
pub struct RateLimit<T, S = AnyStore, C = FastClock> {
    inner: T,
    config: Arc<Config<S, C>>,
}

/// What becomes of a request.
enum Verdict {
    /// It goes on, and its response gets the fields.
    Pass {
        fields: Option<Fields>,
        permit: Option<Box<dyn Held>>,
    },
    Refuse(Refusal),
}

impl<T, S, C> RateLimit<T, S, C> {
    pub(super) fn new(inner: T, config: Arc<Config<S, C>>) -> Self {
        Self { inner, config }
    }
}

impl<T, S, C, RequestBody, ResponseBody> Service<Request<RequestBody>> for RateLimit<T, S, C>
where
    T: Service<Request<RequestBody>, Response = Response<ResponseBody>> + Clone + Send + 'static,
    T::Future: Send,
    S: Store,
    C: Clock,
    RequestBody: Send + 'static,
{
    type Response = Response<LimitedBody<ResponseBody>>;
    type Error = T::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        // The service that was polled ready is the one to call; its clone has not been and waits for its own turn.
        let standby = self.inner.clone();
        let mut ready = mem::replace(&mut self.inner, standby);
        let config = Arc::clone(&self.config);
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            match judge(&config, &parts).await {
                Verdict::Pass { fields, permit } => {
                    let mut response = ready.call(Request::from_parts(parts, body)).await?;
                    if let Some(fields) = fields {
                        fields.add_to(response.headers_mut());
                    }
                    Ok(response.map(|body| LimitedBody::of_service(body, permit)))
                }
                Verdict::Refuse(refusal) => Ok(refusal.into_response()),
            }
        })
    }
}

async fn judge<S: Store, C: Clock>(config: &Config<S, C>, request: &Parts) -> Verdict {
    let asked = match Asked::of(config, request) {
        Ok(Some(asked)) => asked,
        Ok(None) => {
            return Verdict::Pass { fields: None, permit: None };
        }
        Err(missing) => return Verdict::Refuse(Refusal::missing(&missing)),
    };
    let Ok((decision, permit)) = asked.decide(config).await else {
        // What a check may complain about was excluded when the layer was built. Should a later version of the limiter
        // find something new, then nothing was decided, and that protects.
        return Verdict::Refuse(Refusal::outage(std::iter::empty(), config.outage));
    };
    if let Some(observe) = &config.on_decision {
        observe(request, &decision);
    }
    if decision.is_denied() {
        return Verdict::Refuse(Refusal::denied(config, &asked, &decision));
    }
    let fields = config.fields_on_success.then(|| Fields::of(config, &asked, &decision));
    Verdict::Pass { fields, permit }
}

impl<T: Clone, S, C> Clone for RateLimit<T, S, C> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), config: Arc::clone(&self.config) }
    }
}

impl<T: fmt::Debug, S, C> fmt::Debug for RateLimit<T, S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("inner", &self.inner).field("layer", &self.config).finish()
    }
}
