-- History across records: by whom, and in which period.
CREATE INDEX event_by_actor ON event (actor_id, enqueued);
CREATE INDEX event_by_time ON event (at);
