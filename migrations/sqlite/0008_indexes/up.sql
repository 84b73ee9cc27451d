-- The newest events of a record, for notifications.
CREATE INDEX event_by_record ON event (record_id, enqueued);
-- The webhooks with deliveries whose time has come.
DROP INDEX webhook_delivery_due;
CREATE INDEX webhook_delivery_due ON webhook_delivery (state, next_at, webhook_id);
