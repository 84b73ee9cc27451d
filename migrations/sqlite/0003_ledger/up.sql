-- The log in its order. A generation is one tree under one origin; after an older backup was restored the next one begins,
-- in which every event has its place anew.
CREATE TABLE log_generation (
    generation INTEGER NOT NULL PRIMARY KEY CHECK (generation > 0),
    origin TEXT NOT NULL UNIQUE,
    verifier TEXT NOT NULL,
    started_at TEXT NOT NULL
) STRICT;

-- Which event stands where; `own` holds the bytes of the one leaf that is no event: the first of a later generation.
CREATE TABLE log_leaf (
    generation INTEGER NOT NULL REFERENCES log_generation (generation),
    position INTEGER NOT NULL CHECK (position >= 0),
    enqueued INTEGER REFERENCES event (enqueued),
    own BLOB,
    CHECK ((enqueued IS NULL) <> (own IS NULL)),
    PRIMARY KEY (generation, position)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX log_leaf_by_event ON log_leaf (enqueued, generation);

-- Every complete subtree, numbered as a log that is only appended to stores them (Crosby and Wallach, 2009, 3.3).
CREATE TABLE log_node (
    generation INTEGER NOT NULL REFERENCES log_generation (generation),
    number INTEGER NOT NULL CHECK (number >= 0),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (generation, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE log_checkpoint (
    generation INTEGER NOT NULL REFERENCES log_generation (generation),
    size INTEGER NOT NULL CHECK (size >= 0),
    at TEXT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (generation, size)
) STRICT, WITHOUT ROWID;
CREATE INDEX log_checkpoint_by_time ON log_checkpoint (at, generation, size);

CREATE TRIGGER log_generation_is_final BEFORE UPDATE ON log_generation BEGIN SELECT RAISE(ABORT, 'the log is only appended to'); END;
CREATE TRIGGER log_generation_is_kept BEFORE DELETE ON log_generation BEGIN SELECT RAISE(ABORT, 'the log is only appended to'); END;
CREATE TRIGGER log_generation_is_not_replaced BEFORE INSERT ON log_generation
WHEN EXISTS (SELECT 1 FROM log_generation WHERE generation = NEW.generation)
BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: the log is only appended to'); END;
CREATE TRIGGER log_leaf_is_final BEFORE UPDATE ON log_leaf BEGIN SELECT RAISE(ABORT, 'the log is only appended to'); END;
CREATE TRIGGER log_leaf_is_kept BEFORE DELETE ON log_leaf BEGIN SELECT RAISE(ABORT, 'the log is only appended to'); END;
CREATE TRIGGER log_leaf_is_not_replaced BEFORE INSERT ON log_leaf
WHEN EXISTS (SELECT 1 FROM log_leaf WHERE generation = NEW.generation AND position = NEW.position)
BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: the log is only appended to'); END;
CREATE TRIGGER log_node_is_final BEFORE UPDATE ON log_node BEGIN SELECT RAISE(ABORT, 'the log is only appended to'); END;
CREATE TRIGGER log_node_is_kept BEFORE DELETE ON log_node BEGIN SELECT RAISE(ABORT, 'the log is only appended to'); END;
CREATE TRIGGER log_node_is_not_replaced BEFORE INSERT ON log_node
WHEN EXISTS (SELECT 1 FROM log_node WHERE generation = NEW.generation AND number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: the log is only appended to'); END;
CREATE TRIGGER log_checkpoint_is_final BEFORE UPDATE ON log_checkpoint BEGIN SELECT RAISE(ABORT, 'the log is only appended to'); END;
CREATE TRIGGER log_checkpoint_is_kept BEFORE DELETE ON log_checkpoint BEGIN SELECT RAISE(ABORT, 'the log is only appended to'); END;
CREATE TRIGGER log_checkpoint_is_not_replaced BEFORE INSERT ON log_checkpoint
WHEN EXISTS (SELECT 1 FROM log_checkpoint WHERE generation = NEW.generation AND size = NEW.size)
BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: the log is only appended to'); END;
