-- Usage, sizes and gauges belong to accounts that exist.
-- $1 from: buckets that began earlier are not looked at.
select distinct 'usage_buckets' as table_name, u.account from usage_buckets u
where u.bucket >= $1::timestamptz and not exists (select from accounts a where a.account = u.account)
union all
select distinct 'object_levels', o.account from object_levels o where not exists (select from accounts a where a.account = o.account)
union all
select distinct 'gauge_buckets', g.account from gauge_buckets g
where g.bucket >= $1::timestamptz and not exists (select from accounts a where a.account = g.account)
