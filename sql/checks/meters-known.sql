-- Usage, grants, caps and corrections name meters of the newest catalogue, counters as counters and gauges as gauges.
-- $1 from: what began earlier is not looked at.
with known as (
  select m.value ->> 'name' as meter, m.value ->> 'kind' as kind
  from (select document from catalog_versions order by version desc limit 1) c, jsonb_array_elements(c.document -> 'meters') m
), named as (
  select distinct 'usage_buckets' as table_name, account, meter, 'counter' as kind from usage_buckets where bucket >= $1::timestamptz
  union all
  select distinct 'grants', account, meter, 'counter' from grants where window_start >= $1::timestamptz
  union all
  select distinct 'corrections', account, meter, 'counter' from corrections
  union all
  select distinct 'object_levels', account, meter, 'gauge' from object_levels
  union all
  select distinct 'gauge_buckets', account, meter, 'gauge' from gauge_buckets where bucket >= $1::timestamptz
  union all
  select 'caps', account, meter, null from caps
)
select n.table_name, n.account, n.meter from named n
where not exists (select from known k where k.meter = n.meter and (n.kind is null or k.kind = n.kind))
