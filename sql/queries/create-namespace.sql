-- Creates a namespace unless its name is taken or the account is at its plan's number of classes.
-- $1 account, $2 service, $3 name, $4 time of creation, $5 classes allowed (null: no limit), $6 its secret as base64
-- Answers one row: number (null when nothing was created), live (classes before), taken.
--
-- Exact without a lock: two that run at once see the same highest number, and the primary key lets one of them pass.
-- The other gets number null with neither reason, and tries again; by then it sees the first. A number is never used
-- again, because deleted namespaces keep their row.
with facts as (
  select
    (select coalesce(max(number), 0) from state_namespaces where account = $1) as last_number,
    (select count(*) from state_namespaces where account = $1 and deleted_at is null) as live,
    exists (
      select from state_namespaces where account = $1 and service = $2 and name = $3 and deleted_at is null
    ) as taken
),
created as (
  insert into state_namespaces (account, number, service, name, created_at, secret)
  select $1, last_number + 1, $2, $3, $4::timestamptz, decode($6, 'base64') from facts
  where not taken and ($5::bigint is null or live < $5::bigint)
  on conflict do nothing
  returning number
)
select (select number from created) as number, live, taken from facts
