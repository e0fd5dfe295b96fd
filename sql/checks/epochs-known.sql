-- Nothing is booked or granted under a life of its account that was never opened, and no budget under epoch 0, which is no life.
-- $1 from: what began earlier is not looked at.
select t.table_name, t.account, t.epoch, a.last_epoch from (
  select 'accounts' as table_name, account, epoch from accounts
  union all
  select distinct 'usage_buckets', account, epoch from usage_buckets where bucket >= $1::timestamptz
  union all
  select distinct 'grants', account, epoch from grants where window_start >= $1::timestamptz
  union all
  select 'level_grants', account, epoch from level_grants
  union all
  select distinct 'object_levels', account, epoch from object_levels
  union all
  select distinct 'gauge_buckets', account, epoch from gauge_buckets where bucket >= $1::timestamptz
) t
-- Each account is looked up by itself: for two hundred, Postgres read all there are.
cross join lateral (select a.last_epoch from accounts a where a.account = t.account offset 0) a
where t.epoch > a.last_epoch or t.epoch < 0 or (t.epoch = 0 and t.table_name = 'grants')
