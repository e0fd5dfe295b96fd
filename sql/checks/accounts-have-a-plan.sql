-- Every account has a subscription, and every subscription names a plan of the newest catalogue.
select a.account, null as plan from accounts a where not exists (select from subscriptions s where s.account = a.account)
union all
select s.account, s.plan from subscriptions s
where not exists (
  select from (select document from catalog_versions order by version desc limit 1) c, jsonb_array_elements(c.document -> 'plans') p
  where p.value ->> 'key' = s.plan
)
