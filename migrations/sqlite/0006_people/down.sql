DROP TABLE notice_mark;
DROP TABLE subscription;
DROP INDEX discovery_by_origin;
DROP TABLE discovery_return;
DROP INDEX discovery_recalled;
DROP INDEX insight_recalled;
ALTER TABLE discovery DROP COLUMN recalled_at;
ALTER TABLE insight DROP COLUMN recalled_at;
DROP TABLE recall;
