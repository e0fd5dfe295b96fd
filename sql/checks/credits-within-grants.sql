-- No more of a grant is burned than there was, and none below nothing; a finalized invoice burned what its lines say, a void one nothing.
-- $1 from: invoices of months that ended earlier are not looked at.
select g.account, g.id, g.amount, b.burned
from credit_grants g
cross join lateral (select coalesce(sum(c.amount), 0) as burned from credit_burns c where c.account = g.account and c.credit_grant = g.id) b
where b.burned < 0 or b.burned > g.amount
union all
select i.account, i.id, coalesce(said.amount, 0), coalesce(done.amount, 0)
from invoices i
cross join lateral (select sum(l.amount) as amount from weir_burns_of(i.lines) l) said
cross join lateral (select sum(c.amount) as amount from credit_burns c where c.account = i.account and c.invoice = i.id) done
where i.period_end >= $1::timestamptz and i.state <> 'draft'
  and coalesce(done.amount, 0) <> case i.state when 'void' then 0 else coalesce(said.amount, 0) end
