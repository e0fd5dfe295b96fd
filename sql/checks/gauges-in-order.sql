-- A gauge's bucket covers time that lies in it, and its integral has no unit of byte-milliseconds where no time passed.
-- $1 from: buckets that began earlier are not looked at.
select account, meter, bucket, epoch, from_at, until_at, byte_milliseconds from gauge_buckets
where bucket >= $1::timestamptz
  and (from_at < bucket or until_at < from_at or until_at > bucket + interval '1 hour' or (until_at = from_at and byte_milliseconds <> 0))
