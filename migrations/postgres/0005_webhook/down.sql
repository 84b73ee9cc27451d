DROP SEQUENCE webhook_number;
DROP TABLE webhook_delivery;
DROP TABLE webhook_cursor;
DROP TABLE webhook_secret;
DROP TABLE webhook;
