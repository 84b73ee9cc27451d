//! Who gives events their place: one node at a time.
//!
//! The lease is a row with a holder, a fence that rises with each new holder, and an end by the database's clock. Each
//! sequencing transaction begins by renewing it where fence and holder are still its own, and no row means that another
//! node has taken over. It is held only while there is work, so that idle nodes write nothing.
use crate::{Result, db::Conn};

/// How long a node that fell silent is waited for, in seconds.
#[cfg(feature = "postgres")]
const SECONDS: i32 = 3;

/// This process's part in it.
#[derive(Debug)]
pub struct Lease {
    #[cfg(feature = "postgres")]
    holder: uuid::Uuid,
    fence: Option<i64>,
    renewed: Option<i64>,
}

impl Default for Lease {
    fn default() -> Self {
        Self {
            #[cfg(feature = "postgres")]
            holder: uuid::Uuid::now_v7(),
            fence: None,
            renewed: None,
        }
    }
}

impl Lease {
    /// Renews or takes the lease, within the present transaction; false if another node has it.
    ///
    /// # Errors
    /// What the database says.
    pub fn hold(&mut self, conn: &mut Conn) -> Result<bool> {
        // Engine-specific: a SQLite file has one writing transaction at a time, and whoever is in it sequences.
        match conn {
            #[cfg(feature = "postgres")]
            Conn::Pg(c) => {
                self.renewed = held(c, self.holder, self.fence)?;
                Ok(self.renewed.is_some())
            }
            Conn::Sqlite(_) => {
                self.renewed = Some(0);
                Ok(true)
            }
        }
    }

    /// Whether it was somebody else's, or nobody's, before [`Lease::hold`].
    pub fn is_new(&self) -> bool {
        self.renewed != self.fence
    }

    /// Whether the transaction in which it was held was committed.
    pub fn settle(&mut self, committed: bool) {
        if let Some(fence) = self.renewed.take()
            && committed
        {
            self.fence = Some(fence);
        }
    }
}

#[cfg(feature = "postgres")]
fn held(c: &mut diesel::PgConnection, holder: uuid::Uuid, fence: Option<i64>) -> Result<Option<i64>> {
    use diesel::{
        OptionalExtension, QueryableByName, RunQueryDsl, sql_query,
        sql_types::{BigInt, Integer, Uuid as SqlUuid},
    };
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        fence: i64,
    }
    // Looks before it locks: a node that waits for another's transaction would only wait. A lease that ends later than any
    // could was taken while the database's clock was ahead.
    let elsewhere = "SELECT fence FROM log_lease WHERE holder <> $1 AND until > clock_timestamp() \
                     AND until <= clock_timestamp() + make_interval(secs => $2)";
    let elsewhere = sql_query(elsewhere).bind::<SqlUuid, _>(holder).bind::<Integer, _>(SECONDS);
    if elsewhere.get_result::<Row>(c).optional()?.is_some() {
        return Ok(None);
    }
    let renew = "UPDATE log_lease SET until = clock_timestamp() + make_interval(secs => $3) \
                 WHERE holder = $1 AND fence = $2 RETURNING fence";
    let renewed: Option<Row> = sql_query(renew)
        .bind::<SqlUuid, _>(holder)
        .bind::<BigInt, _>(fence.unwrap_or(-1))
        .bind::<Integer, _>(SECONDS)
        .get_result(c)
        .optional()?;
    if let Some(row) = renewed {
        return Ok(Some(row.fence));
    }
    let take = "UPDATE log_lease SET holder = $1, fence = fence + 1, until = clock_timestamp() + make_interval(secs => $2) \
                WHERE until <= clock_timestamp() OR until > clock_timestamp() + make_interval(secs => $2) OR holder = $1 RETURNING fence";
    let taken: Option<Row> =
        sql_query(take).bind::<SqlUuid, _>(holder).bind::<Integer, _>(SECONDS).get_result(c).optional()?;
    Ok(taken.map(|row| row.fence))
}
