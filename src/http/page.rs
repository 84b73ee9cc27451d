//! Lists: keyset pages whose cursor is bound to its filters.
//!
//! A cursor is the sort value and id of the last row, with a digest of the parameters it was made under. It holds no
//! secret: a changed one finds only what its holder may see.
use super::{
    as_of::AS_OF,
    fields::Fields,
    openapi::{ErasedThen, ListOf},
    params::Params,
};
use crate::{Error, Result, fault::Faults};
use actix_web::{HttpRequest, HttpResponse, http::header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The parameters every list takes.
pub const PARAMETERS: &[&str] = &["limit", "cursor", "sort", "count", "fields"];
/// Those of lists that can be asked for as of a past moment.
pub const PARAMETERS_AND_AS_OF: &[&str] = &["limit", "cursor", "sort", "count", "fields", AS_OF];
const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 200;

/// Which page is asked for.
#[derive(Debug, Clone)]
pub struct Page {
    /// Rows, 1–200.
    pub limit: i64,
    /// The field to sort by.
    pub sort: String,
    /// Largest first.
    pub descending: bool,
    /// The last row of the page before.
    pub after: Option<After>,
    /// Whether the exact total is wanted.
    pub count: bool,
    fields: Fields,
    binding: String,
    query: Vec<(String, String)>,
}

/// The last row of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// Its sort value, as text.
    pub value: String,
    /// Its id.
    pub id: Uuid,
}

impl After {
    /// Its sort value.
    ///
    /// # Errors
    /// 422 where it is of another type: no page led here.
    pub fn value_as<T: SortValue>(&self) -> Result<T> {
        T::from_cursor(&self.value).ok_or_else(invalid_cursor)
    }
}

/// 422 for a cursor to which no page led.
pub fn invalid_cursor() -> Error {
    let mut faults = Faults::default();
    push_invalid_cursor(&mut faults);
    Error::Invalid(faults)
}

/// The same as one fault of several.
pub fn push_invalid_cursor(faults: &mut Faults) {
    let message = "must come from `next_cursor` of the same list with the same parameters";
    faults.push_parameter("cursor", "invalid_cursor", message);
}

/// The rows of a page, and what is said of all of them.
#[derive(Debug)]
pub struct Listed<V> {
    /// The rows; one more than the limit says that there is a next page.
    pub rows: Vec<V>,
    /// The exact total, where it was asked for.
    pub total: Option<i64>,
    /// What is said of a past moment.
    pub then: Option<Then>,
}

/// What is said of a list as of a past moment.
#[derive(Debug)]
pub struct Then {
    /// How many leaves its checkpoint covers.
    pub as_of_size: u64,
    /// What was erased since.
    pub erased: Vec<ErasedThen>,
    /// Behind which record it goes on: its rows say nothing of that.
    pub next: Option<After>,
}

impl<V> Listed<V> {
    /// As of now.
    pub const fn now(rows: Vec<V>, total: Option<i64>) -> Self {
        Self { rows, total, then: None }
    }
}

#[derive(Serialize, Deserialize)]
struct Cursor {
    b: String,
    v: String,
    i: Uuid,
}

impl Page {
    /// Reads the page parameters. `sorts`: the fields one may sort by; the first, descending where it starts with `-`,
    /// is the default.
    pub fn read(request: &HttpRequest, params: &mut Params, sorts: &[&str]) -> Self {
        let default = sorts.first().copied().unwrap_or("-updated_at");
        let sort = params.text("sort", 60).unwrap_or_else(|| default.to_owned());
        let descending = sort.starts_with('-');
        let name = sort.trim_start_matches('-').to_owned();
        if !sorts.iter().any(|s| s.trim_start_matches('-') == name) || sort.starts_with("--") {
            let names: Vec<_> = sorts.iter().map(|s| s.trim_start_matches('-')).collect();
            let message = format!("must be one of {}, with - in front for descending", names.join(", "));
            params.faults.push_parameter("sort", "unknown_value", message);
        }
        let query = params.without("cursor");
        let binding = binding(request.path(), &query, &sort);
        let after = params.text("cursor", 2000).and_then(|text| {
            let cursor = decode(&text).filter(|c| c.b == binding && !c.v.contains('\0'));
            if cursor.is_none() {
                push_invalid_cursor(&mut params.faults);
            }
            cursor.map(|c| After { value: c.v, id: c.i })
        });
        Self {
            limit: params.integer("limit", 1, MAX_LIMIT).unwrap_or(DEFAULT_LIMIT),
            sort: name,
            descending,
            after,
            count: params.flag("count").unwrap_or(false),
            fields: Fields::read(params),
            binding,
            query,
        }
    }

    /// Some rows of the same list, in its order.
    pub fn part(&self, limit: i64, after: Option<After>) -> Self {
        Self { limit, after, count: false, ..self.clone() }
    }

    /// 200 with `{data, next_cursor, total?}`. `rows` may hold one more than the limit, which says that there is a next
    /// page; `key` gives the sort value and id of a row.
    ///
    /// # Errors
    /// 422 for a `fields` that names no member.
    pub fn answer<V: Serialize + utoipa::PartialSchema>(
        &self,
        request: &HttpRequest,
        rows: Vec<V>,
        total: Option<i64>,
        key: impl Fn(&V) -> After,
    ) -> Result<HttpResponse> {
        self.answer_listed(request, Listed::now(rows, total), key)
    }

    /// As [`Page::answer`], for what may be of a past moment: then with its `as_of_size` and what was `erased`.
    ///
    /// # Errors
    /// As [`Page::answer`].
    pub fn answer_listed<V: Serialize + utoipa::PartialSchema>(
        &self,
        request: &HttpRequest,
        listed: Listed<V>,
        key: impl Fn(&V) -> After,
    ) -> Result<HttpResponse> {
        self.fields.check::<V>()?;
        let Listed { mut rows, total, then } = listed;
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let next = (rows.len() > limit).then(|| {
            rows.truncate(limit);
            rows.last().map(|last| self.encode(key(last)))
        });
        let next = match &then {
            Some(then) => then.next.clone().map(|after| self.encode(after)),
            None => next.flatten(),
        };
        self.envelope(request, &rows, next, total, then)
    }

    /// 200 with a part of a list that may hold fewer rows than its limit and still go on.
    ///
    /// # Errors
    /// 422 for a `fields` that names no member.
    pub fn answer_part<V: Serialize + utoipa::PartialSchema>(
        &self,
        request: &HttpRequest,
        rows: &[V],
        next: Option<After>,
    ) -> Result<HttpResponse> {
        self.fields.check::<V>()?;
        self.envelope(request, rows, next.map(|after| self.encode(after)), None, None)
    }

    fn envelope<V: Serialize>(
        &self,
        request: &HttpRequest,
        rows: &[V],
        next: Option<String>,
        total: Option<i64>,
        then: Option<Then>,
    ) -> Result<HttpResponse> {
        let mut answer = HttpResponse::Ok();
        if let Some(next) = &next {
            answer.insert_header((header::LINK, format!("<{}>; rel=\"next\"", self.next_url(request, next))));
        }
        let (as_of_size, erased) = then.map(|then| (then.as_of_size, then.erased)).unzip();
        let data = rows.iter().map(|row| self.fields.of(row)).collect::<Result<_>>()?;
        Ok(answer.json(ListOf { data, next_cursor: next, total, as_of_size, erased }))
    }

    fn encode(&self, after: After) -> String {
        let cursor = Cursor { b: self.binding.clone(), v: after.value, i: after.id };
        URL_SAFE_NO_PAD.encode(json!(cursor).to_string())
    }

    fn next_url(&self, request: &HttpRequest, next: &str) -> String {
        let mut query = String::new();
        for (name, value) in &self.query {
            query.push_str(&format!("{}={}&", percent(name), percent(value)));
        }
        format!("{}?{query}cursor={next}", request.path())
    }
}

fn percent(text: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if keep(b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

fn decode(text: &str) -> Option<Cursor> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// What a cursor is bound to: the path, the sort and every filter, in whatever order they were given.
fn binding(path: &str, query: &[(String, String)], sort: &str) -> String {
    let page = |name: &str| ["limit", "count", "fields", "sort"].contains(&name);
    let mut filters: Vec<_> = query.iter().filter(|(name, _)| !page(name)).collect();
    filters.sort();
    let digest = Sha256::digest(json!([path, filters, sort]).to_string());
    URL_SAFE_NO_PAD.encode(&digest[..9])
}

/// Orders a boxed query by one of the table's columns and starts it after the cursor's row: the keyset.
///
/// `keyset!(query, page, table: Id, { "created_at" => created_at: Time, … })`; the column types implement [`SortValue`].
macro_rules! keyset {
    ($query:expr, $page:expr, $table:ident: $id:ty, { $($name:literal => $column:ident: $type:ty),+ $(,)? }) => {{
        let mut query = $query;
        let page: &$crate::http::page::Page = $page;
        match &*page.sort {
            $($name => {
                if let Some(after) = &page.after {
                    let value: $type = after.value_as()?;
                    let id = <$id>::of(after.id);
                    query = if page.descending {
                        query.filter($table::$column.lt(value.clone()).or($table::$column.eq(value).and($table::id.lt(id))))
                    } else {
                        query.filter($table::$column.gt(value.clone()).or($table::$column.eq(value).and($table::id.gt(id))))
                    };
                }
                query = if page.descending {
                    query.order(($table::$column.desc(), $table::id.desc()))
                } else {
                    query.order(($table::$column.asc(), $table::id.asc()))
                };
            })+
            _ => {}
        }
        query.limit(page.limit + 1)
    }};
}
pub(crate) use keyset;

/// The number in a code, as a cursor keeps it.
pub fn number_in(code: &str) -> String {
    code.split_once('-').map_or_else(String::new, |(_, number)| number.to_owned())
}

/// A value one may sort by, as a cursor keeps it.
pub trait SortValue: Sized + Clone {
    /// As text.
    fn to_cursor(&self) -> String;
    /// From text; `None` for what was never a cursor of ours.
    fn from_cursor(text: &str) -> Option<Self>;
}
impl SortValue for crate::db::columns::Time {
    fn to_cursor(&self) -> String {
        self.to_string()
    }
    fn from_cursor(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}
impl SortValue for String {
    fn to_cursor(&self) -> String {
        self.clone()
    }
    fn from_cursor(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}
impl SortValue for i64 {
    fn to_cursor(&self) -> String {
        self.to_string()
    }
    fn from_cursor(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number| *number >= 0)
    }
}
