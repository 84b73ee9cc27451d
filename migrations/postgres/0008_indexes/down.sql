DROP INDEX webhook_delivery_due;
CREATE INDEX webhook_delivery_due ON webhook_delivery (next_at) WHERE state = 'pending';
DROP INDEX event_by_record;
