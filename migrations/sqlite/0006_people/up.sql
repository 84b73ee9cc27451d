-- What a finding that was retracted or superseded led to, until somebody answers for it.
CREATE TABLE recall (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    finding_id BLOB NOT NULL REFERENCES finding (id) CHECK (length(finding_id) = 16),
    cause TEXT NOT NULL CHECK (cause IN ('retracted', 'superseded')),
    record_kind TEXT NOT NULL CHECK (record_kind IN ('discovery', 'insight')),
    record_id BLOB NOT NULL CHECK (length(record_id) = 16),
    raised_at TEXT NOT NULL,
    acknowledged_at TEXT,
    acknowledged_by BLOB REFERENCES person (id) CHECK (length(acknowledged_by) = 16),
    note TEXT,
    CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL)),
    UNIQUE (finding_id, record_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX recall_by_record ON recall (record_id, acknowledged_at);
CREATE INDEX recall_by_time ON recall (raised_at, id);

-- Since when a recall waits there.
ALTER TABLE insight ADD COLUMN recalled_at TEXT;
ALTER TABLE discovery ADD COLUMN recalled_at TEXT;
CREATE INDEX insight_recalled ON insight (owner_id) WHERE recalled_at IS NOT NULL;
CREATE INDEX discovery_recalled ON discovery (owner_id) WHERE recalled_at IS NOT NULL;

-- The discoveries that were sent back to the bench, and the insight that was cited for it.
CREATE TABLE discovery_return (
    discovery_id BLOB NOT NULL REFERENCES discovery (id) CHECK (length(discovery_id) = 16),
    insight_id BLOB NOT NULL REFERENCES insight (id) CHECK (length(insight_id) = 16),
    PRIMARY KEY (discovery_id, insight_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX discovery_return_by_insight ON discovery_return (insight_id);
INSERT INTO discovery_return (discovery_id, insight_id)
SELECT DISTINCT event.record_id, insight.id
FROM event JOIN insight ON insight.id =
    unhex(replace(json_extract(CAST(event.payload AS TEXT), '$.insight_id'), '-', ''))
WHERE event.record_kind = 'discovery' AND event.move IS NOT NULL AND event.payload IS NOT NULL;
CREATE INDEX discovery_by_origin ON discovery (origin_insight_id) WHERE origin_insight_id IS NOT NULL;

-- What somebody follows besides what they own: a record, a lab, or a condition. `target` spells it in one way, `pattern` is
-- what the condition is looked for with.
CREATE TABLE subscription (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    person_id BLOB NOT NULL REFERENCES person (id) CHECK (length(person_id) = 16),
    target TEXT NOT NULL,
    record_kind TEXT,
    record_id BLOB CHECK (length(record_id) = 16),
    lab_id BLOB REFERENCES organization (id) CHECK (length(lab_id) = 16),
    mesh TEXT,
    name TEXT,
    pattern TEXT,
    follows_after INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    CHECK ((record_id IS NULL) = (record_kind IS NULL)),
    CHECK ((record_id IS NOT NULL) + (lab_id IS NOT NULL) + (pattern IS NOT NULL) = 1),
    CHECK ((mesh IS NOT NULL) + (name IS NOT NULL) = (pattern IS NOT NULL)),
    UNIQUE (person_id, target)
) STRICT, WITHOUT ROWID;

-- Up to which event somebody has read, by its number: positions change when the log begins anew.
CREATE TABLE notice_mark (
    person_id BLOB NOT NULL PRIMARY KEY REFERENCES person (id) CHECK (length(person_id) = 16),
    read_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
