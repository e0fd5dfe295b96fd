-- Invoices and credit notes are numbered from 1 without gaps, and each number leads to its document.
-- $1 from: documents issued earlier are not looked at one by one.
select null as account, s.series, s.last as number, n.count::text as found
from document_series s
cross join lateral (select count(*) from document_numbers d where d.series = s.series) n
where n.count <> s.last
union all
select i.account, 'invoice', i.number, d.document
from invoices i left join document_numbers d on d.series = 'invoice' and d.number = i.number
where i.finalized_at >= $1::timestamptz and d.document is distinct from i.id
union all
select c.account, 'credit_note', c.number, d.document
from credit_notes c left join document_numbers d on d.series = 'credit_note' and d.number = c.number
where c.created_at >= $1::timestamptz and d.document is distinct from c.id
