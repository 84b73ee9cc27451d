-- The log in its order. A generation is one tree under one origin; after an older backup was restored the next one begins,
-- in which every event has its place anew.
CREATE TABLE log_generation (
    generation BIGINT NOT NULL PRIMARY KEY CHECK (generation > 0),
    origin TEXT NOT NULL UNIQUE,
    verifier TEXT NOT NULL,
    started_at TIMESTAMPTZ NOT NULL
);

-- Which event stands where; `own` holds the bytes of the one leaf that is no event: the first of a later generation.
CREATE TABLE log_leaf (
    generation BIGINT NOT NULL REFERENCES log_generation (generation),
    position BIGINT NOT NULL CHECK (position >= 0),
    enqueued BIGINT REFERENCES event (enqueued),
    own BYTEA,
    CHECK ((enqueued IS NULL) <> (own IS NULL)),
    PRIMARY KEY (generation, position)
);
CREATE UNIQUE INDEX log_leaf_by_event ON log_leaf (enqueued, generation);

-- Every complete subtree, numbered as a log that is only appended to stores them (Crosby and Wallach, 2009, 3.3).
CREATE TABLE log_node (
    generation BIGINT NOT NULL REFERENCES log_generation (generation),
    number BIGINT NOT NULL CHECK (number >= 0),
    hash BYTEA NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (generation, number)
);

CREATE TABLE log_checkpoint (
    generation BIGINT NOT NULL REFERENCES log_generation (generation),
    size BIGINT NOT NULL CHECK (size >= 0),
    at TIMESTAMPTZ NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (generation, size)
);
CREATE INDEX log_checkpoint_by_time ON log_checkpoint (at, generation, size);

-- Who gives events their place just now: one node, for as long as it renews this. A fence that has risen meanwhile tells a
-- node that was away too long; the time is the database's.
CREATE TABLE log_lease (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    holder UUID NOT NULL,
    fence BIGINT NOT NULL,
    until TIMESTAMPTZ NOT NULL
);
INSERT INTO log_lease (id, holder, fence, until)
VALUES (1, '00000000-0000-0000-0000-000000000000', 0, '-infinity');

CREATE FUNCTION log_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the log is only appended to'; END $$;
CREATE TRIGGER log_generation_is_final BEFORE UPDATE OR DELETE ON log_generation FOR EACH ROW EXECUTE FUNCTION log_is_final();
CREATE TRIGGER log_generation_is_kept BEFORE TRUNCATE ON log_generation FOR EACH STATEMENT EXECUTE FUNCTION log_is_final();
CREATE TRIGGER log_leaf_is_final BEFORE UPDATE OR DELETE ON log_leaf FOR EACH ROW EXECUTE FUNCTION log_is_final();
CREATE TRIGGER log_leaf_is_kept BEFORE TRUNCATE ON log_leaf FOR EACH STATEMENT EXECUTE FUNCTION log_is_final();
CREATE TRIGGER log_node_is_final BEFORE UPDATE OR DELETE ON log_node FOR EACH ROW EXECUTE FUNCTION log_is_final();
CREATE TRIGGER log_node_is_kept BEFORE TRUNCATE ON log_node FOR EACH STATEMENT EXECUTE FUNCTION log_is_final();
CREATE TRIGGER log_checkpoint_is_final BEFORE UPDATE OR DELETE ON log_checkpoint FOR EACH ROW EXECUTE FUNCTION log_is_final();
CREATE TRIGGER log_checkpoint_is_kept BEFORE TRUNCATE ON log_checkpoint FOR EACH STATEMENT EXECUTE FUNCTION log_is_final();
