-- Catalogue, accounts, keys, caps: who may do what, and how much.

create table catalog_versions (
  version    bigint generated always as identity primary key,
  document   jsonb       not null,
  sha256     text        not null unique,
  applied_at timestamptz not null
);

create table accounts (
  account            text        primary key check (account ~ '^[A-Za-z0-9_.:-]{1,64}$'),
  name               text,
  email              text,
  billing_anchor_day smallint    not null default 1 check (billing_anchor_day between 1 and 31),
  timezone           text        not null default 'UTC',
  -- Raised by every change of plan, cap or calendar: Redis refuses limits that are older than what it holds.
  limits_version     bigint      not null default 1,
  -- The ordinal of the account's present life in Redis. A Redis that lost the account starts the next one.
  epoch              bigint      not null default 0,
  -- Raised when usage of an older epoch is booked, so that the present one learns of it.
  foreign_seq        bigint      not null default 0,
  created_at         timestamptz not null,
  updated_at         timestamptz not null
);

-- A plan holds from starts_at until the next row; history is never edited.
create table subscriptions (
  account    text        not null references accounts,
  starts_at  timestamptz not null,
  plan       text        not null,
  created_at timestamptz not null,
  primary key (account, starts_at)
);

create table caps (
  account           text        not null references accounts,
  meter             text        not null,
  period            text        not null check (period in ('day', 'month')),
  cap_value         bigint      not null check (cap_value between 0 and 9007199254740991),
  hard_stop         boolean     not null,
  notify_at_percent smallint    not null check (notify_at_percent between 1 and 100),
  updated_at        timestamptz not null,
  primary key (account, meter, period)
);

create table api_keys (
  id          text        primary key,
  account     text        references accounts,
  scope       text        not null check (scope in ('admin', 'data_plane', 'account', 'read_only')),
  name        text,
  secret_hash bytea       not null,
  last_four   text        not null,
  created_at  timestamptz not null,
  expires_at  timestamptz,
  revoked_at  timestamptz,
  -- A key of one account names it; the operator's keys name none.
  check ((account is null) = (scope in ('admin', 'data_plane')))
);
create index api_keys_by_account on api_keys (account, created_at desc, id);
