-- What is left of the grants that cover billing months: of each account's month (tags, accounts, ends), the grants in force at its end, less
-- what is burned and what drafts of months before it are about to burn.
-- $1 tags, $2 accounts, $3 the months' ends.
select w.tag, g.id, g.name, g.currency, g.amount, g.priority, g.expires_at, g.seq,
       weir_credit_left(g.account, g.id) - coalesce(drafts.amount, 0) as "left"
from unnest($1::int[], $2::text[], $3::timestamptz[]) as w (tag, account, month_end)
join credit_grants g on g.account = w.account and g.voided_at is null
  and g.effective_at < w.month_end and (g.expires_at is null or g.expires_at >= w.month_end)
left join lateral (
  select sum(b.amount)::bigint as amount
  from invoices i cross join weir_burns_of(i.lines) b
  where i.account = g.account and i.state = 'draft' and i.period_end < w.month_end and b.credit_grant = g.id
) drafts on true
order by w.tag, g.seq
