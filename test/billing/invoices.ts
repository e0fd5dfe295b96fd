import postgres from "postgres";

/** All that invoicing left in a database, in a form that two databases can be held together by. */
export interface Left {
  invoices: number;
  /** Of every byte of every invoice, but for the numbers, which follow who was first. */
  digest: string;
  months: string;
  /** Invoices by state. */
  states: string;
  /** Numbers that are missing, twice, or lead nowhere. */
  wrongNumbers: number;
  /** Finalized invoices that their account was not told of exactly once. */
  untold: number;
}

export async function whatIsLeft(databaseUrl: string): Promise<Left> {
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  try {
    const [row] = await sql.unsafe<[Left]>(`
      select
        (select count(*)::int from invoices) as invoices,
        (select md5(string_agg(md5(row(i.account, i.period_start, i.period_end, i.id, i.state, i.currency, i.lines::text, i.total, i.tax)::text), ''
                               order by i.account, i.period_end)) from invoices i) as digest,
        (select md5(string_agg(row(p.account, p.period_start, p.period_end, p.month_ms, p.closed_at is null)::text, ''
                               order by p.account, p.period_end)) from billing_periods p) as months,
        (select string_agg(s.state || ' ' || s.count, ', ' order by s.state) from (select state, count(*) from invoices group by 1) s) as states,
        ((select count(*) from generate_series(1, (select last from document_series where series = 'invoice')) n
          where (select count(*) from invoices i join document_numbers d on d.series = 'invoice' and d.number = i.number and d.document = i.id
                 where i.number = n) <> 1)
         + (select count(*) from invoices i where i.number > (select last from document_series where series = 'invoice')))::int as "wrongNumbers",
        (select count(*)::int from invoices i where i.state <> 'draft' and
          (select count(*) from notifications n where n.account = i.account and n.type = 'invoice.finalized' and n.data ->> 'invoice' = i.id) <> 1) as untold`);
    return row;
  } finally {
    await sql.end();
  }
}
