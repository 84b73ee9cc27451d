//! The route that explains authority.
use super::{Explanation, Question, explain};
use crate::{
    Result, app,
    auth::{
        extract::Guard,
        policy::{ExplainAuthority, Move, Permission, Principal, Relation, Row, TABLE},
    },
    db::Conn,
    error::Code,
    fault::Faults,
    http::params::Params,
    id::{Key, PersonId},
    vocabulary::RecordKind,
};
use actix_web::{HttpRequest, HttpResponse, get};
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

/// Mounts the route.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(explain_authority);
}

/// Who, what, and to which record.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct ExplainQuery {
    /// The person, by id or code.
    #[param(max_length = 300, example = "U-8")]
    person: String,
    /// A permission, as in `/v1/me`.
    #[param(max_length = 300, example = "revise")]
    action: String,
    /// The record, by id or code; required where the answer depends on one.
    #[param(max_length = 300, required = false, example = "D-17")]
    record: String,
    /// For `move`, and required there: the state to move to.
    #[param(max_length = 300, required = false, example = "validated")]
    to: String,
    /// For `move`: which, where two lead to the same state, and always for `correct`.
    #[param(max_length = 300, required = false, example = "correct")]
    r#move: String,
}

/// Why a person may, or may not, do something: each rule that was asked, and everything that is missing.
#[utoipa::path(tag = "Authority", operation_id = "explain_authority", params(ExplainQuery),
    responses((status = 200, description = "What was asked, and the answer", body = Explanation)))]
#[get("/v1/authority/explain")]
async fn explain_authority(who: Guard<ExplainAuthority>, request: HttpRequest) -> Result<HttpResponse> {
    let mut params = Params::read(&request, &["person", "action", "record", "to", "move"])?;
    let [person, action, record, to, name] =
        ["person", "action", "record", "to", "move"].map(|name| params.text(name, 300));
    let asked = Asked { person, action, record, to, name };
    let faults = params.faults;
    let explained = who
        .read(move |conn, who| {
            let question = asked.question(conn, who, faults.clone())?;
            explain(conn, &question, who.at)
        })
        .await?;
    Ok(HttpResponse::Ok().json(explained))
}

/// The parameters as they were sent.
#[derive(Clone)]
struct Asked {
    person: Option<String>,
    action: Option<String>,
    record: Option<String>,
    to: Option<String>,
    name: Option<String>,
}

impl Asked {
    /// # Errors
    /// 422 with every fault.
    fn question(&self, conn: &mut Conn, who: &Principal, mut faults: Faults) -> Result<Question> {
        let person = self.person(conn, who, &mut faults)?;
        let action = self.action(&mut faults);
        let record = self.record(conn, who, action, &mut faults)?;
        match (person, action) {
            (Some(person), Some(action)) if faults.0.is_empty() => {
                Ok(Question { person, action, record, to: self.to.clone(), name: self.name.clone() })
            }
            _ => Err(faults.into()),
        }
    }

    fn person(&self, conn: &mut Conn, who: &Principal, faults: &mut Faults) -> Result<Option<PersonId>> {
        let Some(text) = &self.person else {
            require(faults, "person");
            return Ok(None);
        };
        let found = named(conn, who, &[RecordKind::Person], text)?;
        if found.is_none() {
            faults.push_parameter("person", "not_found", format!("there is no person {text}"));
        }
        Ok(found.map(|(_, id)| PersonId::of(id)))
    }

    fn action(&self, faults: &mut Faults) -> Option<&'static Row> {
        let Some(name) = &self.action else {
            require(faults, "action");
            return None;
        };
        let row = Row::named(name);
        if row.is_none() {
            let names: Vec<_> = TABLE.iter().map(|row| row.name).collect();
            faults.push_parameter("action", "unknown_value", format!("must be one of {}", names.join(", ")));
        }
        let moves = name == Move::NAME;
        if moves && self.to.is_none() {
            require(faults, "to");
        }
        for (parameter, given) in [("to", &self.to), ("move", &self.name)] {
            if given.is_some() && !moves {
                let message = format!("is taken only by the action {}", Move::NAME);
                faults.push_parameter(parameter, "not_applicable", message);
            }
        }
        row
    }

    fn record(
        &self,
        conn: &mut Conn,
        who: &Principal,
        action: Option<&Row>,
        faults: &mut Faults,
    ) -> Result<Option<(RecordKind, Uuid)>> {
        let Some(text) = &self.record else {
            if action.is_some_and(needs_record) {
                require(faults, "record");
            }
            return Ok(None);
        };
        let found = named(conn, who, RecordKind::ALL, text)?;
        match (found, action) {
            (None, _) => faults.push_parameter("record", "not_found", format!("there is no record {text}")),
            (Some((kind, _)), Some(action)) if action.over(kind).is_none() => {
                let message = format!("the action {} is not of a {kind}", action.name);
                faults.push_parameter("record", "not_applicable", message);
            }
            _ => {}
        }
        Ok(found)
    }
}

fn require(faults: &mut Faults, parameter: &str) {
    faults.push_parameter(parameter, "required", "is required");
}

/// Whether what somebody may depends on what they are to the record.
fn needs_record(action: &Row) -> bool {
    action.grants().any(|grant| grant.relation != Relation::Any)
}

/// The record of one of these kinds that an id or a code names.
fn named(conn: &mut Conn, who: &Principal, kinds: &[RecordKind], text: &str) -> Result<Option<(RecordKind, Uuid)>> {
    for kind in kinds {
        let Some(key) = Key::parse(*kind, text) else { continue };
        match app::seen(conn, who, *kind, key) {
            Ok(seen) => return Ok(Some((*kind, seen.id))),
            Err(e) if e.code() == Code::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(None)
}
