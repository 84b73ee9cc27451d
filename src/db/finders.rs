//! The queries that every kind of record has alike, written once.
use super::{Conn, MultiBackend, schema::share};
use crate::{
    Result,
    id::{AnyId, OrganizationId},
};
use diesel::{BoxableExpression, prelude::*, sql_types::Bool};
use uuid::Uuid;

/// A condition on a table: whether a row may be seen.
pub type Sees<Table> = Box<dyn BoxableExpression<Table, MultiBackend, SqlType = Bool>>;

/// Whether any of these conditions holds; `None` when there are none.
pub fn any_of<Table: 'static>(conditions: impl Iterator<Item = Sees<Table>>) -> Option<Sees<Table>> {
    conditions.reduce(|any, next| Box::new(any.or(next)))
}

/// The `LIKE` pattern of what contains this text, with `\` as its escape.
pub fn containing(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

/// Brings the index of shares in line with a record's `shared_with`.
///
/// # Errors
/// What the database says.
pub fn index_shares(conn: &mut Conn, record: Uuid, shared_with: &[OrganizationId]) -> Result<()> {
    let record = AnyId::of(record);
    diesel::delete(share::table.filter(share::record_id.eq(record))).execute(conn)?;
    for organization in shared_with {
        let row = (share::record_id.eq(record), share::organization_id.eq(*organization));
        diesel::insert_into(share::table).values(row).execute(conn)?;
    }
    Ok(())
}

/// `find` (404 for hidden and absent alike), `load` (for what the service itself must know) and `visible_ids`, for a
/// table with `id` and `number` and a `visible_to` beside the call.
macro_rules! finders {
    ($record:ty, $table:ident, $id:ty) => {
        /// The record a key names, if this person may see it.
        ///
        /// # Errors
        /// 404 for hidden and absent alike.
        pub fn find(
            conn: &mut $crate::db::Conn,
            who: &$crate::auth::policy::Principal,
            key: $crate::id::Key,
        ) -> $crate::Result<$record> {
            let seen = $table::table.into_boxed::<$crate::db::MultiBackend>().filter(visible_to(who));
            let named = match key {
                $crate::id::Key::Id(id) => seen.filter($table::id.eq(<$id>::of(id))),
                $crate::id::Key::Number(number) => seen.filter($table::number.eq(number)),
            };
            Ok(named.get_result(conn)?)
        }

        /// The record, whoever asks: for rules that must know it, never for an answer.
        ///
        /// # Errors
        /// 404 when there is none.
        pub fn load(conn: &mut $crate::db::Conn, id: $id) -> $crate::Result<$record> {
            Ok($table::table.filter($table::id.eq(id)).get_result(conn)?)
        }

        /// The record a key names, whoever asks: for operators, never for an answer.
        ///
        /// # Errors
        /// 404 when there is none.
        pub fn named(conn: &mut $crate::db::Conn, key: $crate::id::Key) -> $crate::Result<$record> {
            Ok(match key {
                $crate::id::Key::Id(id) => $table::table.filter($table::id.eq(<$id>::of(id))).get_result(conn)?,
                $crate::id::Key::Number(number) => $table::table.filter($table::number.eq(number)).get_result(conn)?,
            })
        }

        /// The records in the order of their ids, whoever asks: for checks of the whole.
        ///
        /// # Errors
        /// What the database says.
        pub fn page_after(
            conn: &mut $crate::db::Conn,
            after: Option<uuid::Uuid>,
            limit: i64,
        ) -> $crate::Result<Vec<$record>> {
            let mut rest = $table::table.into_boxed::<$crate::db::MultiBackend>();
            if let Some(after) = after {
                rest = rest.filter($table::id.gt(<$id>::of(after)));
            }
            Ok(rest.order($table::id.asc()).limit(limit).load(conn)?)
        }

        /// Those of the given ids that this person may see.
        ///
        /// # Errors
        /// What the database says.
        pub fn visible_ids(
            conn: &mut $crate::db::Conn,
            who: &$crate::auth::policy::Principal,
            ids: &[uuid::Uuid],
        ) -> $crate::Result<std::collections::HashSet<uuid::Uuid>> {
            let ids = ids.iter().map(|id| <$id>::of(*id));
            let seen: Vec<$id> = $table::table
                .into_boxed::<$crate::db::MultiBackend>()
                .filter(visible_to(who))
                .filter($table::id.eq_any(ids))
                .select($table::id)
                .load(conn)?;
            Ok(seen.into_iter().map(|id| id.0).collect())
        }
    };
}
pub(crate) use finders;

/// Who sees a record by its own `visibility`, `embargo_until`, steward, owner and shares; further conditions (an accepted
/// pairing) are put beside these with `or`. An expression of one type whoever asks, so that it can stand in a subquery.
macro_rules! seen_by_visibility {
    ($table:ident, $steward:ident, $who:expr $(, or $more:expr)?) => {{
        use diesel::sql_types::Bool;
        use $crate::{db::schema::share, vocabulary::Visibility};
        let who: &$crate::auth::policy::Principal = $who;
        let shared = share::table
            .filter(share::organization_id.eq_any(who.organizations.clone()))
            .select(share::record_id);
        let past_embargo = $table::embargo_until.is_null().or($table::embargo_until.assume_not_null().le(who.at));
        who.sees_all()
            .into_sql::<Bool>()
            .or(who.sees_internal().into_sql::<Bool>().and($table::visibility.ne(Visibility::Confidential)))
            .or($table::visibility.eq(Visibility::Public).and(past_embargo))
            .or($table::$steward.eq_any(who.organizations.clone()))
            .or($table::owner_id.eq(who.id))
            .or($table::id.eq_any(shared))
            $(.or($more))?
    }};
}
pub(crate) use seen_by_visibility;
