DROP TABLE log_lease;
DROP TABLE log_checkpoint;
DROP TABLE log_node;
DROP TABLE log_leaf;
DROP TABLE log_generation;
DROP FUNCTION log_is_final();
