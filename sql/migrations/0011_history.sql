-- The history of one meter, and who is to be told of unusual rates.

-- The primary key leads by bucket: a year of one meter read through it touches the rows of every meter. The quantity is left out on
-- purpose: it grows each second, and as part of an index every growth would write a new entry into each one of the table's.
create index usage_buckets_by_meter on usage_buckets (account, meter, bucket);

alter table accounts add column rate_alert boolean not null default false;
create index accounts_with_rate_alert on accounts (account) where rate_alert;
