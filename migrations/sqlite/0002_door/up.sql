-- How people get in: sessions, tokens, invitations, outside identities; and answers that are kept for a repetition.
-- Of anything secret only its SHA-256 is here.

CREATE TABLE session (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    person_id BLOB NOT NULL REFERENCES person (id) CHECK (length(person_id) = 16),
    authn TEXT NOT NULL,
    issuer TEXT,
    client TEXT,
    address TEXT,
    created_at TEXT NOT NULL,
    last_used_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    ended_at TEXT
) STRICT;

CREATE TABLE refresh_token (
    hash BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    session_id BLOB NOT NULL REFERENCES session (id) CHECK (length(session_id) = 16),
    issued_at TEXT NOT NULL,
    used_at TEXT,
    seed BLOB CHECK (length(seed) = 32),
    CHECK ((used_at IS NULL) = (seed IS NULL))
) STRICT;

CREATE TABLE personal_token (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    person_id BLOB NOT NULL REFERENCES person (id) CHECK (length(person_id) = 16),
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    scopes TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    last_used_at TEXT,
    revoked_at TEXT
) STRICT;

CREATE TABLE invitation (
    hash BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    person_id BLOB NOT NULL UNIQUE REFERENCES person (id) CHECK (length(person_id) = 16),
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;

CREATE TABLE identity (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    person_id BLOB NOT NULL REFERENCES person (id) CHECK (length(person_id) = 16),
    created_at TEXT NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT;

CREATE TABLE oidc_login (
    state_hash BLOB NOT NULL PRIMARY KEY CHECK (length(state_hash) = 32),
    browser_hash BLOB NOT NULL CHECK (length(browser_hash) = 32),
    issuer TEXT NOT NULL,
    nonce TEXT NOT NULL,
    verifier TEXT NOT NULL,
    challenge_id BLOB REFERENCES signature_challenge (id) CHECK (length(challenge_id) = 16),
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;

ALTER TABLE signature_challenge ADD COLUMN authenticated_at TEXT;

CREATE TABLE idempotency (
    person_id BLOB NOT NULL REFERENCES person (id) CHECK (length(person_id) = 16),
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    created_at TEXT NOT NULL,
    status INTEGER,
    location TEXT,
    etag TEXT,
    records TEXT,
    body TEXT,
    PRIMARY KEY (person_id, route, key)
) STRICT;

CREATE INDEX session_by_person ON session (person_id, ended_at);
CREATE INDEX session_by_end ON session (expires_at);
CREATE INDEX refresh_token_by_session ON refresh_token (session_id);
CREATE INDEX personal_token_by_person ON personal_token (person_id);
CREATE INDEX identity_by_person ON identity (person_id);
CREATE INDEX oidc_login_by_challenge ON oidc_login (challenge_id);
CREATE INDEX oidc_login_by_end ON oidc_login (expires_at);
CREATE INDEX idempotency_by_time ON idempotency (created_at);
CREATE INDEX signature_challenge_by_end ON signature_challenge (expires_at);
CREATE INDEX sign_in_by_time ON sign_in (at);
