//! The API of administrators, below `/v1`: ready-made, behind the same keys and roles; what is below `/v1/platform` is for the
//! operator's key.

use std::error::Error;

use axum::Router;
use guardian::audit::checkpoint::KeyRing;

use crate::App;

const PLACE: &str = "/v1";

/// The operations, and their OpenAPI document at `/v1/openapi.json`.
pub(crate) fn routes(app: &App) -> Result<Router<App>, Box<dyn Error>> {
    // The demo signs no checkpoints, so there are no keys to hold them against.
    let document = app.guardian.administration("CRM", env!("CARGO_PKG_VERSION"), KeyRing::new());
    Ok(Router::new().nest(PLACE, document.under(PLACE).into_router()?.with_state(())))
}
