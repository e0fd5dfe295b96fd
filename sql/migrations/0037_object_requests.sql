-- Requests by object, so that the busiest objects can be listed. A statistic beside the ledger: nothing is billed or limited by it.
-- docs/decisions/0037-object-requests.md.

-- One row an object, however long it lives: its requests of the billing month it was last asked in.
create table object_requests (
  account     text        not null,
  service     text        not null,
  namespace   text        not null,
  object      text        not null,
  month_start timestamptz not null,
  requests    bigint      not null check (requests between 0 and 9007199254740991),
  primary key (account, service, namespace, object)
);
create index object_requests_busiest on object_requests (account, requests desc, service desc, namespace desc, object desc);
create index object_requests_by_age on object_requests (month_start);

-- The last batch of each process: sent again after an answer that was lost, it adds nothing.
create table object_request_batches (
  source    text        primary key,
  batch     bigint      not null,
  booked_at timestamptz not null
);

insert into walled_tables (name, tenant) values ('object_requests', 'read');
