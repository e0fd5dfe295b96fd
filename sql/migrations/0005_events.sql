-- Usage events: which ones were counted already.

-- One row is one event that was counted: half a SHA-256 of who sent it, its source and its id, so 16 bytes instead of up to 574.
-- One table and one unique index, not a partition a day: two copies of an event that arrive on either side of midnight, or from
-- processes whose clocks differ, must meet in the same index, and a partitioned index would have to hold the day.
create table event_keys (
  key         uuid        primary key,
  received_at timestamptz not null
);

-- For forgetting the oldest. All rows of a batch bear one time and come in order, so the index stays small and grows at one end.
create index event_keys_by_time on event_keys (received_at);

-- A day's rows leave in small batches: their room must be found again before the table has grown by a tenth.
alter table event_keys set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.1);
