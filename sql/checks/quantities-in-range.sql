-- Every quantity is a whole number from 0 to 2^53 − 1; a correction's may be negative, but not 0.
-- $1 from: buckets that began earlier are not looked at.
select 'usage_buckets' as table_name, account, meter, quantity from usage_buckets
where bucket >= $1::timestamptz and quantity not between 0 and 9007199254740991
union all
select 'object_levels', account, meter, bytes from object_levels where bytes not between 0 and 9007199254740991
union all
select 'grants', account, meter, granted from grants where granted not between 0 and 9007199254740991
union all
select 'corrections', account, meter, quantity from corrections
where quantity = 0 or quantity not between -9007199254740991 and 9007199254740991
