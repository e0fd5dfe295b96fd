-- Recalls: before an account that was loaded once is loaded anew, every process books what it holds alone.

-- One row: how many recalls there were.
create table recalls (
  only_row boolean primary key default true check (only_row),
  seq      bigint  not null
);
insert into recalls (seq) values (0);

-- Processes that acknowledge usage. A source that has not been seen for a while has crashed, and waiting for it helps nobody.
create table sources (
  source  text        primary key,
  -- The server's own clock, since it measures silence, not usage.
  seen_at timestamptz not null,
  -- The last recall it has answered: all it acknowledged before is in this database.
  heard   bigint      not null
);
