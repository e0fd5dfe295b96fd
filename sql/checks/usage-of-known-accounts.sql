-- Usage, sizes and gauges belong to accounts that exist.
-- $1 from: buckets that began earlier are not looked at.
-- Each account is looked up by itself (offset 0): of two hundred, Postgres walked the index of all there are, and closing a month grew with their square.
select t.table_name, t.account from (
  select distinct 'usage_buckets' as table_name, account from usage_buckets where bucket >= $1::timestamptz
  union all
  select distinct 'object_levels', account from object_levels
  union all
  select distinct 'gauge_buckets', account from gauge_buckets where bucket >= $1::timestamptz
) t
where not exists (select from accounts a where a.account = t.account offset 0)
