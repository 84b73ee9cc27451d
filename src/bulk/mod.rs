//! Many at once: one request, one transaction, a result for each item.
//!
//! Each item is what a request of its own would be, and is decided by the same function, in a savepoint. Without `atomic`
//! the good ones stand and the refused ones are told why; with it nothing stands unless all do.
pub mod http;

use crate::{
    Error, Result,
    db::{Conn, attempt},
    error::Code,
    fault::{Faults, List},
    http::{answer::Answer, openapi::Problem},
};
use deserr::Deserr;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// The most items of one request.
pub const MOST: usize = 500;

/// The items of one request, not read yet: a fault of one is that item's result.
#[derive(Debug, Clone, Deserr)]
#[deserr(error = Faults, deny_unknown_fields)]
pub struct Batch {
    /// Whether all of them stand or none.
    #[deserr(default)]
    pub atomic: bool,
    /// One at least.
    pub items: List<Value, MOST>,
}

impl Batch {
    /// Reads a body.
    ///
    /// # Errors
    /// 422 with every fault of the request itself; those of its items come later.
    pub fn read(body: &Value) -> Result<Self> {
        let batch: Self = crate::fault::read(body.clone())?;
        if batch.items.0.is_empty() {
            return Err(Error::fault("/items", "too_few", "must have at least one member"));
        }
        Ok(batch)
    }
}

/// As [`Batch`], for the document.
#[derive(Debug, Clone, ToSchema)]
#[expect(dead_code, reason = "describes bodies")]
pub struct BatchOf<T> {
    /// Whether all of them stand or none; false by default.
    #[schema(required = false)]
    atomic: bool,
    /// Each as in a request of its own.
    #[schema(min_items = 1, max_items = 500)]
    items: Vec<T>,
}

/// What came of one item.
#[derive(Serialize, ToSchema)]
pub struct ItemResult<T> {
    /// Its place among the items, from 0.
    #[schema(minimum = 0, maximum = 499)]
    pub index: usize,
    /// The status a request of its own would have had.
    #[schema(minimum = 200, maximum = 499, example = 201)]
    pub status: u16,
    /// Where what was made is.
    #[schema(max_length = 200)]
    pub location: Option<String>,
    /// What a request of its own would have answered; absent where it was refused.
    pub result: Option<T>,
    /// Why it was refused; absent where it was not.
    pub problem: Option<Problem>,
}

/// What came of all of them.
#[derive(Serialize, ToSchema)]
pub struct Results<T> {
    /// How many stand.
    #[schema(minimum = 0, maximum = 500)]
    pub succeeded: usize,
    /// How many were refused.
    #[schema(minimum = 0, maximum = 500)]
    pub failed: usize,
    /// A result for each item, in their order.
    #[schema(max_items = 500)]
    pub data: Vec<ItemResult<T>>,
}

/// Does the items one after another, each in a savepoint. `instance` is the path, `request` the request's id: both stand in
/// the problems.
///
/// # Errors
/// 409 for an atomic batch of which an item was refused, with every problem; what is not the items' fault.
pub fn run(
    conn: &mut Conn,
    batch: &Batch,
    instance: &str,
    request: uuid::Uuid,
    mut work: impl FnMut(&mut Conn, usize, &Value) -> Result<Answer>,
) -> Result<Answer> {
    let (mut good, mut bad, mut data) = (0, 0, Vec::new());
    let mut whole = Answer::empty(200);
    for (index, item) in batch.items.0.iter().enumerate() {
        let result = match attempt(conn, |conn| work(conn, index, item)) {
            Ok(answer) => {
                good += 1;
                whole.about.extend(answer.about.iter().copied());
                whole.once.extend(answer.once.iter().map(|secret| format!("/data/{index}/result{secret}")));
                succeeded(index, answer)?
            }
            Err(e) if matches!(e.code(), Code::Internal | Code::Overloaded) => return Err(e),
            Err(e) => {
                bad += 1;
                refused(index, &e, instance, request)
            }
        };
        data.push(result);
    }
    if batch.atomic && bad > 0 {
        let detail = format!("Nothing was done: {bad} of {} items were refused.", data.len());
        data.retain(|result| result.get("problem").is_some());
        return Err(Error::refused(Code::BatchRefused, detail).with("results", data));
    }
    let results = json!({ "succeeded": good, "failed": bad, "data": data });
    Ok(Answer { about: whole.about, once: whole.once, ..Answer::ok(&results)? })
}

fn succeeded(index: usize, answer: Answer) -> Result<Value> {
    let result: Value = match &answer.body {
        Some(text) => serde_json::from_str(text).map_err(|e| Error::Internal(e.to_string()))?,
        None => Value::Null,
    };
    Ok(json!({ "index": index, "status": answer.status, "location": answer.location, "result": result }))
}

fn refused(index: usize, e: &Error, instance: &str, request: uuid::Uuid) -> Value {
    let mut problem = e.problem();
    problem.insert("instance".into(), json!(format!("{instance}#/items/{index}")));
    problem.insert("request_id".into(), json!(request));
    json!({ "index": index, "status": e.code().status(), "location": null, "problem": problem })
}
