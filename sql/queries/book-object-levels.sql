-- Books the sizes of objects: the change that is latest by (epoch, seq) wins, whatever order they come in.
-- $1 account text[]  $2 meter text[]  $3 service text[]  $4 namespace text[]  $5 object text[]  $6 bytes bigint[]
-- $7 epoch bigint[]  $8 seq bigint[]  $9 changed at timestamptz[]; no object twice in one call. Answers nothing.
insert into object_levels as o (account, meter, service, namespace, object, bytes, epoch, seq, updated_at)
select t.*
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::timestamptz[])
  as t (account, meter, service, namespace, object, bytes, epoch, seq, updated_at)
order by 1, 2, 3, 4, 5
on conflict (account, meter, service, namespace, object)
do update set bytes = excluded.bytes, epoch = excluded.epoch, seq = excluded.seq, updated_at = excluded.updated_at
where (excluded.epoch, excluded.seq) > (o.epoch, o.seq)
