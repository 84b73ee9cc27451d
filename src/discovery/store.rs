//! The only SQL of discoveries.
use super::Discovery;
use crate::db::columns::Time;
use crate::{
    Result,
    auth::policy::Principal,
    db::{
        Conn, MultiBackend, Sees, any_of, containing, each_backend, finders,
        schema::{discovery, discovery_return, pairing},
    },
    http::page::{Page, keyset},
    id::{DiscoveryId, InsightId, OrganizationId, PersonId},
    ledger::stored,
    lifecycle::builtin::ACCEPTED,
    past::{Narrows, among},
    value::terms_of,
    vocabulary::{Modality, RecordKind, Visibility},
};
use diesel::prelude::*;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use utoipa::ToSchema;

stored!(Discovery, discovery, RecordKind::Discovery);
finders!(Discovery, discovery, DiscoveryId);

/// The discoveries of accepted pairings with this person or an organization of theirs: of one type, so that it can stand in a
/// subquery.
macro_rules! accepted_with {
    ($who:expr) => {
        pairing::table
            .filter(pairing::state.eq(ACCEPTED))
            .filter(
                pairing::clinician_id
                    .eq($who.id)
                    .assume_not_null()
                    .or(pairing::organization_id.eq_any($who.organizations.clone()).assume_not_null()),
            )
            .select(pairing::discovery_id)
    };
}

/// The discoveries with which this person has an accepted pairing.
///
/// # Errors
/// What the database says.
pub fn paired_with(conn: &mut Conn, who: &Principal) -> Result<HashSet<DiscoveryId>> {
    Ok(accepted_with!(who).load(conn)?.into_iter().collect())
}

/// Who sees a discovery, of one type whoever asks, so that it can stand in a subquery: besides its visibility, an accepted
/// pairing shows it.
macro_rules! seen_by {
    ($who:expr) => {{
        use $crate::{
            db::{
                schema::{discovery, pairing},
                seen_by_visibility,
            },
            lifecycle::builtin::ACCEPTED,
        };
        let paired = $crate::discovery::store::accepted_with!($who);
        seen_by_visibility!(discovery, lab_id, $who, or discovery::id.eq_any(paired))
    }};
}
pub(crate) use {accepted_with, seen_by};

/// Besides its visibility, an accepted pairing shows a discovery.
pub fn visible_to(who: &Principal) -> Sees<discovery::table> {
    Box::new(seen_by!(who))
}

/// What a list of discoveries may be narrowed by.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these stages.
    pub stage: Vec<String>,
    /// Any of these modalities.
    pub modality: Vec<Modality>,
    /// Any of these labs.
    pub lab: Vec<OrganizationId>,
    /// Any of these owners.
    pub owner: Vec<PersonId>,
    /// Any of these visibilities.
    pub visibility: Vec<Visibility>,
    /// Any of these lifecycles, `name@version`.
    pub lifecycle: Vec<String>,
    /// Any of these conditions, as folded terms.
    pub condition: Vec<String>,
    /// Changed after.
    pub updated_after: Option<Time>,
    /// Every one of these folded words.
    pub words: Vec<String>,
}

impl Filter {
    /// Whether a discovery, as it was, is among those that are counted.
    pub fn counts(&self, was: &Discovery) -> bool {
        let terms = terms_of(&was.conditions);
        among(&self.lab, &was.lab_id)
            && among(&self.modality, &was.modality)
            && among(&self.lifecycle, &was.lifecycle)
            && (self.condition.is_empty() || self.condition.iter().any(|term| terms.contains(&**term)))
    }
}

impl Narrows<Discovery> for Filter {
    fn lasting(&self) -> Self {
        Self::default()
    }
    fn admits(&self, was: &Discovery) -> bool {
        among(&self.stage, &was.stage) && among(&self.lab, &was.lab_id) && among(&self.owner, &was.owner_id)
    }
}

/// One page of what this person may see, and the total where it was asked for.
///
/// # Errors
/// What the database says.
pub fn list(conn: &mut Conn, who: &Principal, filter: &Filter, page: &Page) -> Result<(Vec<Discovery>, Option<i64>)> {
    let matching = || {
        let mut query = discovery::table.into_boxed::<MultiBackend>().filter(visible_to(who));
        if !filter.stage.is_empty() {
            query = query.filter(discovery::stage.eq_any(filter.stage.clone()));
        }
        if !filter.modality.is_empty() {
            query = query.filter(discovery::modality.eq_any(filter.modality.clone()));
        }
        if !filter.lab.is_empty() {
            query = query.filter(discovery::lab_id.eq_any(filter.lab.clone()));
        }
        if !filter.owner.is_empty() {
            query = query.filter(discovery::owner_id.eq_any(filter.owner.clone()));
        }
        if !filter.visibility.is_empty() {
            query = query.filter(discovery::visibility.eq_any(filter.visibility.clone()));
        }
        if !filter.lifecycle.is_empty() {
            query = query.filter(discovery::lifecycle.eq_any(filter.lifecycle.clone()));
        }
        let terms = filter.condition.iter();
        if let Some(any) = any_of(terms.map(|t| Box::new(discovery::terms.like(containing(t)).escape('\\')) as Sees<_>))
        {
            query = query.filter(any);
        }
        if let Some(after) = filter.updated_after {
            query = query.filter(discovery::updated_at.gt(after));
        }
        for word in &filter.words {
            query = query.filter(discovery::search.like(containing(word)).escape('\\'));
        }
        query
    };
    let rows = keyset!(matching(), page, discovery: DiscoveryId, {
        "updated_at" => updated_at: Time, "created_at" => created_at: Time,
        "stage_entered_at" => stage_entered_at: Time, "title" => title: String, "code" => number: i64,
    })
    .load(conn)?;
    let total = if page.count { Some(matching().count().get_result(conn)?) } else { None };
    Ok((rows, total))
}

/// A discovery as its neighbours name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DiscoveryName {
    /// Its id.
    pub id: DiscoveryId,
    /// Its code.
    #[schema(max_length = 30, example = "D-17")]
    pub code: String,
    /// Its title.
    #[schema(max_length = 300, example = "TDP-43 aggregation is reversed by HSP70 induction")]
    pub title: String,
}

/// The names of those of the given discoveries that this person may see, in one query.
///
/// # Errors
/// What the database says.
pub fn names(
    conn: &mut Conn,
    who: &Principal,
    ids: impl IntoIterator<Item = DiscoveryId>,
) -> Result<HashMap<DiscoveryId, DiscoveryName>> {
    let rows: Vec<(DiscoveryId, i64, String)> = discovery::table
        .into_boxed::<MultiBackend>()
        .filter(visible_to(who))
        .filter(discovery::id.eq_any(ids))
        .select((discovery::id, discovery::number, discovery::title))
        .load(conn)?;
    let named = |(id, number, title)| (id, DiscoveryName { id, code: RecordKind::Discovery.code(number), title });
    Ok(rows.into_iter().map(named).collect())
}

/// Notes that an insight was cited for sending a discovery back: a recall of what the insight stands on reaches it.
///
/// # Errors
/// What the database says.
pub fn index_return(conn: &mut Conn, discovery: DiscoveryId, insight: InsightId) -> Result<()> {
    let row = (discovery_return::discovery_id.eq(discovery), discovery_return::insight_id.eq(insight));
    let insert = || diesel::insert_into(discovery_return::table).values(row);
    each_backend!(conn, |c| insert().on_conflict_do_nothing().execute(c))?;
    Ok(())
}
