-- Who is told of events elsewhere.
CREATE TABLE webhook (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    number INTEGER NOT NULL UNIQUE CHECK (number > 0),
    version INTEGER NOT NULL CHECK (version > 0),
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    kinds TEXT NOT NULL,
    actions TEXT NOT NULL,
    conditions TEXT NOT NULL,
    organization_ids TEXT NOT NULL,
    state TEXT NOT NULL,
    owner_id BLOB NOT NULL REFERENCES person (id) CHECK (length(owner_id) = 16),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    head BLOB NOT NULL
) STRICT;
CREATE INDEX webhook_by_owner ON webhook (owner_id);
CREATE INDEX webhook_by_update ON webhook (updated_at, id);

-- What deliveries are signed with; in no payload and no list.
CREATE TABLE webhook_secret (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    webhook_id BLOB NOT NULL REFERENCES webhook (id) CHECK (length(webhook_id) = 16),
    secret BLOB NOT NULL CHECK (length(secret) = 32),
    created_at TEXT NOT NULL,
    expires_at TEXT
) STRICT;
CREATE INDEX webhook_secret_by_webhook ON webhook_secret (webhook_id);

-- Up to where in the log a webhook has come, and which node is at it until when, in seconds by the database's clock.
CREATE TABLE webhook_cursor (
    webhook_id BLOB NOT NULL PRIMARY KEY REFERENCES webhook (id) CHECK (length(webhook_id) = 16),
    generation INTEGER NOT NULL,
    position INTEGER NOT NULL CHECK (position >= 0),
    claimed_by BLOB CHECK (length(claimed_by) = 16),
    claimed_until INTEGER NOT NULL,
    fence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- An event on its way to a webhook. `round` rises when it is asked for again.
CREATE TABLE webhook_delivery (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    webhook_id BLOB NOT NULL REFERENCES webhook (id) CHECK (length(webhook_id) = 16),
    enqueued INTEGER NOT NULL REFERENCES event (enqueued),
    record_id BLOB NOT NULL CHECK (length(record_id) = 16),
    state TEXT NOT NULL,
    round INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    next_at TEXT NOT NULL,
    first_tried_at TEXT,
    settled_at TEXT,
    last_status INTEGER,
    last_error TEXT,
    UNIQUE (webhook_id, enqueued)
) STRICT;
CREATE INDEX webhook_delivery_pending ON webhook_delivery (webhook_id, enqueued) WHERE state = 'pending';
CREATE INDEX webhook_delivery_due ON webhook_delivery (next_at) WHERE state = 'pending';
CREATE INDEX webhook_delivery_by_state ON webhook_delivery (state, settled_at);

INSERT INTO code_counter (kind, last) VALUES ('webhook', 0);
