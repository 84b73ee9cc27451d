//! Reading a JSON body: after the caller is known, bounded in size and time, and with every fault at once.
use crate::{
    Error, Result,
    app::App,
    error::Code,
    fault::{self, Faults},
};
use actix_web::{FromRequest, HttpRequest, dev, http::header, web};
use deserr::Deserr;
use serde_json::{Map, Value};
use std::{
    future::{Ready, ready},
    time::Duration,
};
use tokio::time::timeout;
use utoipa::ToSchema;

/// The most bytes a body may have.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// A body in which there is nothing to say.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct Empty {}

/// A body that has not been read yet: authentication comes first.
pub struct Body {
    media_type: Option<String>,
    deadline: Duration,
    payload: web::Payload,
}

impl FromRequest for Body {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, actix_web::Error>>;
    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let media_type = media_type.map(|v| v.split(';').next().unwrap_or(v).trim().to_ascii_lowercase());
        let payload = web::Payload::from_request(request, payload).into_inner();
        let Some(app) = request.app_data::<web::Data<App>>() else {
            return ready(Err(Error::Internal("no App is mounted".into()).into()));
        };
        let deadline = app.edge.body_deadline;
        ready(payload.map(|payload| Self { media_type, deadline, payload }))
    }
}

impl Body {
    /// Reads `application/json`.
    ///
    /// # Errors
    /// 415, 413, 408, 400.
    pub async fn json(self) -> Result<Value> {
        self.read(&["application/json"]).await
    }

    /// Reads a merge patch (RFC 7396); plain `application/json` is taken for one.
    ///
    /// # Errors
    /// 415, 413, 408, 400.
    pub async fn merge_patch(self) -> Result<Value> {
        self.read(&["application/merge-patch+json", "application/json"]).await
    }

    /// Reads `application/json`; no body at all is an empty object.
    ///
    /// # Errors
    /// 415, 413, 400.
    pub async fn json_or_nothing(self) -> Result<Value> {
        self.read_unless_absent(&["application/json"], Some(Value::Object(Map::new()))).await
    }

    async fn read(self, accepted: &[&str]) -> Result<Value> {
        self.read_unless_absent(accepted, None).await
    }

    async fn read_unless_absent(self, accepted: &[&str], absent: Option<Value>) -> Result<Value> {
        let bytes = match timeout(self.deadline, self.payload.to_bytes_limited(BODY_LIMIT)).await {
            Ok(Ok(Ok(bytes))) => bytes,
            Ok(Ok(Err(_))) => return Err(Error::refused(Code::Malformed, "The body broke off.")),
            Err(_) => {
                let seconds = self.deadline.as_secs();
                return Err(Error::refused(Code::TooSlow, format!("A body must have come within {seconds} seconds.")));
            }
            Ok(Err(_)) => return Err(Error::refused(Code::TooLarge, "A body has at most 1 048 576 bytes.")),
        };
        if let Some(absent) = absent.filter(|_| bytes.is_empty()) {
            return Ok(absent);
        }
        if !self.media_type.is_some_and(|m| accepted.contains(&&*m)) {
            return Err(Error::refused(Code::UnsupportedMediaType, format!("Send {}.", accepted[0])));
        }
        super::json::read(&bytes).map_err(|e| {
            let what = if e.is_data() {
                format!("The body is ambiguous: {e}.")
            } else {
                format!("The body is not JSON: {e}.")
            };
            Error::refused(Code::Malformed, what)
        })
    }
}

/// What is wrong with a body of this type.
pub fn faults_of<T: Deserr<Faults>>(body: Value) -> Faults {
    fault::read::<T>(body).err().unwrap_or_default()
}

/// Reads a body into its type.
///
/// # Errors
/// 422 with every fault.
pub fn parse<T: Deserr<Faults>>(body: Value) -> Result<T> {
    Ok(fault::read(body)?)
}
