-- The reference data plane's names. The objects themselves are SQLite files beside it.

create table services (
  account    text        not null references accounts,
  service    text        not null,
  worker_url text,
  created_at timestamptz not null,
  primary key (account, service)
);

create table state_namespaces (
  account    text        not null references accounts,
  number     bigint      not null,
  service    text        not null,
  name       text        not null,
  created_at timestamptz not null,
  deleted_at timestamptz,
  primary key (account, number)
);
create unique index state_namespaces_by_name on state_namespaces (account, service, name) where deleted_at is null;
