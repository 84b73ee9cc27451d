//! Whatever is done to the database behind the service's back is found, and the right index named; an untouched log never
//! alarms. Each damage is done in a transaction that is taken back.
use super::{settled, some_history, sound};
use crate::support::{TestApp, on_both_engines};
use benchside::{
    db::{Conn, Purpose},
    ledger::{
        log,
        verify::{FaultKind, Report},
        verify_database,
    },
};
use diesel::{Connection, RunQueryDsl, connection::SimpleConnection, sql_query, sql_types::BigInt};

on_both_engines!(every_damage_is_found_and_placed);

/// Lets this connection do what triggers and foreign keys refuse.
pub fn unlock(conn: &mut Conn) {
    if conn.engine() == "postgres" {
        conn.batch_execute("SET session_replication_role = replica").unwrap();
        return;
    }
    conn.batch_execute("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; CREATE TEMP TABLE triggers AS SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").unwrap();
    for (name, _) in triggers(conn) {
        conn.batch_execute(&format!("DROP TRIGGER {name}")).unwrap();
    }
}

/// Takes that back.
pub fn lock(conn: &mut Conn) {
    if conn.engine() == "postgres" {
        conn.batch_execute("SET session_replication_role = origin").unwrap();
        return;
    }
    for (_, sql) in triggers(conn) {
        conn.batch_execute(&sql).unwrap();
    }
    conn.batch_execute("DROP TABLE temp.triggers").unwrap();
}

fn triggers(conn: &mut Conn) -> Vec<(String, String)> {
    use diesel::sql_types::Text;
    #[derive(diesel::QueryableByName)]
    struct Trigger {
        #[diesel(sql_type = Text)]
        name: String,
        #[diesel(sql_type = Text)]
        sql: String,
    }
    let found: Vec<Trigger> = sql_query("SELECT name, sql FROM temp.triggers").load(conn).unwrap();
    found.into_iter().map(|t| (t.name, t.sql)).collect()
}

/// The report on a database after these statements, which are taken back.
fn after(conn: &mut Conn, statements: &[String]) -> Report {
    let mut report = None;
    let _ = conn.transaction::<(), diesel::result::Error, _>(|conn| {
        for statement in statements {
            conn.batch_execute(statement).unwrap_or_else(|e| panic!("{statement}: {e}"));
        }
        report = Some(verify_database::verify(conn, None, &[]).unwrap());
        Err(diesel::result::Error::RollbackTransaction)
    });
    report.unwrap()
}

#[derive(diesel::QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

fn number(conn: &mut Conn, query: &str) -> i64 {
    sql_query(query).get_result::<Number>(conn).unwrap().n
}

fn every_damage_is_found_and_placed(app: &TestApp) {
    some_history(app, 100);
    let checkpoint = settled(app);
    assert!(checkpoint.size >= 300);
    sound(app);
    app.app.db.close();
    let mut conn = Conn::open(&app.url.parse().unwrap(), Purpose::Write).unwrap();
    unlock(&mut conn);
    let postgres = conn.engine() == "postgres";
    let size = i64::try_from(checkpoint.size).unwrap();
    // One byte of a column of bytes, flipped at a random place.
    let flip = |column: &str, place: u64| {
        if postgres {
            format!(
                "{column} = set_byte({column}, ({place} % length({column}))::int, get_byte({column}, ({place} % length({column}))::int) # 1)"
            )
        } else {
            let at = format!("({place} % length({column}))");
            format!(
                "{column} = CAST(substr({column}, 1, {at}) || CASE substr({column}, {at} + 1, 1) WHEN x'00' THEN x'01' ELSE x'00' END || substr({column}, {at} + 2) AS BLOB)"
            )
        }
    };
    for trial in 0..210 {
        let position = fastrand::i64(0..size);
        let enqueued = number(&mut conn, &format!("SELECT enqueued AS n FROM log_leaf WHERE position = {position}"));
        let event = format!("WHERE enqueued = {enqueued}");
        let another = (position + fastrand::i64(1..size)) % size;
        let (low, high) = (position.min(another), position.max(another));
        let place = fastrand::u64(0..4096);
        let text = |column: &str| format!("UPDATE event SET {column} = {column} || 'x' {event}");
        let leaf_number = tlog_tiles::tlog::stored_hash_index(0, position.unsigned_abs());
        let (statements, expected): (Vec<String>, i64) = match trial % 21 {
            0 => (vec![format!("UPDATE event SET {} {event}", flip("leaf", place))], position),
            1 => (vec![format!("UPDATE event SET {} {event}", flip("leaf_hash", place))], position),
            2 => (vec![format!("UPDATE event SET {} {event}", flip("payload", place))], position),
            3 => (vec![format!("UPDATE event SET {} {event}", flip("salt", place))], position),
            4 => (vec![format!("UPDATE log_node SET {} WHERE number = {leaf_number}", flip("hash", place))], position),
            5 => (vec![text("action")], position),
            6 => (vec![text("record_kind")], position),
            7 => (vec![format!("UPDATE event SET record_version = record_version + 1000 {event}")], position),
            8 => (vec![format!("UPDATE event SET to_state = 'elsewhere', move = 'another' {event}")], position),
            9 => (vec![format!("UPDATE event SET actor_id = record_id {event}")], position),
            10 => (vec![format!("UPDATE event SET salt = NULL, payload = NULL {event}")], position),
            11 => (vec![format!("DELETE FROM event {event}")], position),
            12 => (vec![format!("DELETE FROM log_leaf WHERE position = {position}")], position),
            13 => (
                vec![
                    format!("UPDATE log_leaf SET position = 1000000 WHERE position = {low}"),
                    format!("UPDATE log_leaf SET position = {low} WHERE position = {high}"),
                    format!("UPDATE log_leaf SET position = {high} WHERE position = 1000000"),
                ],
                low,
            ),
            14 => (
                vec![
                    format!("DELETE FROM log_leaf WHERE position >= {position}"),
                    format!("DELETE FROM event WHERE enqueued NOT IN (SELECT enqueued FROM log_leaf)"),
                ],
                position,
            ),
            15 => (
                // Put in before it, and everything behind moved up.
                vec![
                    format!("UPDATE log_leaf SET position = position + 1000001 WHERE position >= {position}"),
                    "UPDATE log_leaf SET position = position - 1000000 WHERE position > 1000000".into(),
                    format!(
                        "INSERT INTO log_leaf (generation, position, own) VALUES (1, {position}, {})",
                        if postgres { "'{}'" } else { "x'7b7d'" }
                    ),
                ],
                position,
            ),
            16 => {
                let columns = "record_kind, record_id, record_version + 5000, action, move, from_state, to_state, actor_id, at, effective_at, leaf, leaf_hash, salt, payload";
                let id = if postgres { "gen_random_uuid()" } else { "randomblob(16)" };
                let into = columns.replace(" + 5000", "");
                (vec![format!("INSERT INTO event (id, {into}) SELECT {id}, {columns} FROM event {event}")], size)
            }
            17 => (vec![format!("DELETE FROM log_checkpoint WHERE size > {position}")], size - 1),
            // The leaf stays, word for word, and the event it tells of is gone.
            18 => (
                vec![
                    format!(
                        "UPDATE log_leaf SET own = (SELECT leaf FROM event {event}), enqueued = NULL WHERE position = {position}"
                    ),
                    format!("DELETE FROM event {event}"),
                ],
                position,
            ),
            19 => (
                vec![format!(
                    "UPDATE log_checkpoint SET note = replace(note, '{size}', '{}') WHERE size = {size}",
                    size + 1
                )],
                -1,
            ),
            _ => (
                vec![
                    format!("UPDATE event SET effective_at = at {event}"),
                    format!("UPDATE event SET from_state = 'nowhere' {event}"),
                ],
                position,
            ),
        };
        let report = after(&mut conn, &statements);
        assert!(!report.is_clean(), "trial {trial} was not found: {statements:?}");
        let first = report.faults[0].index;
        if expected >= 0 {
            let wanted = u64::try_from(expected).unwrap();
            assert_eq!(
                first,
                Some(wanted),
                "trial {trial}: {statements:?}\n{:#?}",
                &report.faults[..report.faults.len().min(4)]
            );
        } else {
            assert!(report.faults.iter().any(|f| f.kind == FaultKind::CheckpointWrong), "{:#?}", report.faults);
        }
    }
    // A record that is not what its last event says.
    let records = [
        "UPDATE discovery SET title = 'Another' WHERE number = 3",
        "DELETE FROM discovery WHERE number = 3",
        "UPDATE organization SET version = 7",
    ];
    for statement in records {
        let report = after(&mut conn, &[statement.into()]);
        assert_eq!(report.faults[0].kind, FaultKind::RecordChanged, "{statement}: {:#?}", report.faults);
    }
    // One that was slipped in, with the least id there is.
    let least = if postgres { "'00000000-0000-0000-0000-000000000000'" } else { "zeroblob(16)" };
    let slipped_in = [
        "CREATE TEMP TABLE another AS SELECT * FROM discovery WHERE number = 3".to_owned(),
        format!("UPDATE another SET id = {least}, number = 999"),
        "INSERT INTO discovery SELECT * FROM another".to_owned(),
        "DROP TABLE another".to_owned(),
    ];
    let report = after(&mut conn, &slipped_in);
    assert!(report.faults.len() == 1 && report.faults[0].what.contains("has no event"), "{:#?}", report.faults);
    // What cannot be read at all hides nothing else; PostgreSQL's own types refuse most of that.
    if !postgres {
        let unreadable = ["UPDATE discovery SET created_at = 'zzz' WHERE number = 3", records[2]].map(str::to_owned);
        let report = after(&mut conn, &unreadable);
        let found = |what: &str| report.faults.iter().any(|fault| fault.what.contains(what));
        assert!(found("cannot be read") && found("its last event is of version"), "{:#?}", report.faults);
        let leaf = tlog_tiles::tlog::stored_hash_index(0, 17);
        let report = after(&mut conn, &[format!("UPDATE log_node SET hash = x'00' WHERE number = {leaf}")]);
        assert_eq!((report.faults[0].index, report.faults[0].kind), (Some(17), FaultKind::TreeChanged));
        let event = "(SELECT enqueued FROM log_leaf WHERE position = 17)";
        let report = after(&mut conn, &[format!("UPDATE event SET at = 'zzz' WHERE enqueued = {event}")]);
        assert_eq!(report.faults[0].index, Some(17), "{:#?}", report.faults);
    }
    lock(&mut conn);
    let report = verify_database::verify(&mut conn, None, &[]).unwrap();
    assert!(report.is_clean(), "{:#?}", report.faults);
    assert_eq!(log::latest(&mut conn).unwrap().unwrap().size, checkpoint.size);
}
