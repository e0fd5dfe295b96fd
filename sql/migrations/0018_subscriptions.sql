-- What the price of a subscription depends on besides its plan, and the terms an account is billed by.

alter table subscriptions
  -- Until then the plan costs no fee; what is used beyond its allowances is billed all the same.
  add column trial_ends_at   timestamptz,
  -- The catalogue in force when the change was made.
  add column catalog_version bigint,
  -- Of a change at once: what the hour it fell into had counted by then. Buckets are whole hours, so without it nobody could tell later
  -- what was used under the plan before and what under this one.
  add column used_before     jsonb;

-- Discounts and taxes hold from starts_at until the next row; history is never edited.
create table billing_terms (
  account    text        not null references accounts,
  starts_at  timestamptz not null,
  terms      jsonb       not null,
  created_at timestamptz not null,
  primary key (account, starts_at)
);

-- The exact integral of a gauge's level over [p_from, p_to), in byte-milliseconds: the booked stretches, each level carried on to the
-- next one or to p_to. What was left before p_from opens it. Edges must be those of buckets, or lie at or after what is booked.
create function weir_level_time(p_account text, p_meter text, p_from timestamptz, p_to timestamptz)
returns table (byte_milliseconds numeric) language sql stable as $$
  select coalesce(sum(
    case when s.from_at >= p_from then s.byte_milliseconds else 0 end
    + s.level * greatest(0, round(extract(epoch from (least(s.next_at, p_to) - greatest(s.until_at, p_from))) * 1000))
  ), 0)
  from (
    select t.from_at, t.until_at, t.byte_milliseconds, t.level,
           coalesce(lead(t.from_at) over (order by t.from_at, t.epoch), p_to) as next_at
    from (
      (select g.from_at, g.until_at, g.byte_milliseconds, g.level, g.epoch from gauge_buckets g
       where g.account = p_account and g.meter = p_meter and g.bucket < p_from and g.from_at < p_from
       order by g.bucket desc, g.from_at desc, g.epoch desc limit 1)
      union all
      -- A bucket is at most an hour, so one that reaches over p_from began less than that before.
      (select g.from_at, g.until_at, g.byte_milliseconds, g.level, g.epoch from gauge_buckets g
       where g.account = p_account and g.meter = p_meter and g.bucket > p_from - interval '1 hour' and g.bucket < p_to
         and g.from_at >= p_from and g.from_at < p_to)
    ) t
  ) s
$$;

-- What an account's buckets from p_from on hold at p_to, for subscriptions.used_before: counters' sums and gauges' integrals, as text.
create function weir_used_since(p_account text, p_from timestamptz, p_to timestamptz) returns jsonb language sql stable as $$
  select jsonb_build_object(
    'from', (extract(epoch from p_from) * 1000)::bigint,
    'counters', (
      select coalesce(jsonb_object_agg(u.meter, u.quantity::text), '{}')
      from (select b.meter, sum(b.quantity) as quantity from usage_buckets b
            where b.account = p_account and b.bucket >= p_from group by b.meter) u),
    'levels', (
      select coalesce(jsonb_object_agg(m.value ->> 'name', t.byte_milliseconds::text), '{}')
      from (select document from catalog_versions order by version desc limit 1) c
      cross join jsonb_array_elements(c.document -> 'meters') m
      cross join lateral weir_level_time(p_account, m.value ->> 'name', p_from, p_to) t
      where m.value ->> 'kind' = 'gauge' and t.byte_milliseconds > 0))
$$;
