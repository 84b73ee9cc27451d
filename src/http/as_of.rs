//! `as_of`: an answer as it would have been at a past moment.
use super::params::Params;
use crate::{Result, db::columns::Time};
use actix_web::HttpRequest;
use utoipa::IntoParams;

/// The parameter's name.
pub const AS_OF: &str = "as_of";

/// As of when.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
pub struct AsOfQuery {
    /// A moment at least 10 seconds past: the answer is what the log had at its last checkpoint signed by then, which it names as `as_of_size`.
    #[param(required = false)]
    as_of: Time,
}

/// How long a moment must be past, in seconds: a checkpoint bears the time at which it was signed, and is there once it is
/// committed, so that of the last seconds the answer might still change.
pub const SETTLES: i64 = 10;

/// Reads it; the future, and what has not settled yet, is a fault.
pub fn read(params: &mut Params, now: Time) -> Option<Time> {
    let moment = params.time(AS_OF)?;
    if moment > now.plus_seconds(-SETTLES) {
        let message = format!("must be at least {SETTLES} seconds past: it is {now}");
        params.faults.push_parameter(AS_OF, "out_of_range", message);
        return None;
    }
    Some(moment)
}

/// Reads it where one record is asked for, which takes `fields` besides.
///
/// # Errors
/// 400, 422.
pub fn asked(request: &HttpRequest, now: Time) -> Result<Option<Time>> {
    let mut params = Params::read(request, &["fields", AS_OF])?;
    let moment = read(&mut params, now);
    params.finish()?;
    Ok(moment)
}

/// What the records of a past moment may be sorted by: what never changes of them.
pub const SORTS: &[&str] = &["-created_at", "code"];

/// As of when a list is asked for. Then only these of its filters may stand.
pub fn of_list(params: &mut Params, now: Time, filters: &[&str], kept: &[&str]) -> Option<Time> {
    if !params.has(AS_OF) {
        return None;
    }
    for name in filters.iter().chain(&["count"]).filter(|name| !kept.contains(name)) {
        if params.has(name) {
            let message = format!(
                "is not asked of a past moment; beside how a page is shown, with `as_of` only {} are",
                kept.join(", ")
            );
            params.faults.push_parameter(*name, "not_applicable", message);
        }
    }
    read(params, now)
}
