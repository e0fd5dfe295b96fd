-- The lines of an invoice add up to its total, and no more of it is credited than there was.
-- $1 from: invoices of months that ended earlier are not looked at.
select i.account, i.id, i.total, s.sum, i.credited
from invoices i
cross join lateral (select sum((l.value ->> 'amountUsdMicros')::bigint) as sum from jsonb_array_elements(i.lines) l) s
where i.period_end >= $1::timestamptz and (s.sum <> i.total or i.credited > greatest(i.total, 0))
