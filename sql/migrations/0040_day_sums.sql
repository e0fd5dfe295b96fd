-- Old hours may be summed by day. docs/decisions/0039-retention.md.

-- Buckets before this instant are summed: what comes for them is set aside, since it may be in the sums already. It is in the account's row
-- because whoever books takes that row's lock first, and reads it as it is then.
alter table accounts add column summed_before timestamptz not null default '-infinity';
create index accounts_by_summed on accounts (summed_before);
update audited_tables set quiet = quiet || ',summed_before' where name = 'accounts';

-- Totals that came for buckets that are summed, of each the greatest. Nothing counts them.
create table usage_set_aside (
  account   text        not null,
  bucket    timestamptz not null,
  meter     text        not null,
  service   text        not null,
  namespace text        not null,
  epoch     bigint      not null,
  source    text        not null,
  quantity  bigint      not null,
  primary key (account, bucket, meter, service, namespace, epoch, source)
);
insert into walled_tables (name, tenant) values ('usage_set_aside', 'none');
