-- Tells whether readings from an instant on may say something else than what is stored: they differ, are too many to be counted for
-- that answer alone, or are hidden by a policy. It is the end of a statement that begins with what was counted (fresh, as
-- fresh_range.sql gives it) and what is stored (as stored_range.sql does), and reads those two only for as few readings.
-- Lock: ACCESS SHARE on the table, its leaves of the range, and the aggregates. May run in a transaction.
select row_security_active(:'readings') or row_security_active(:'stored_in')
       or (select count(*) > :'most'::int from (
             select from :"schema".:"table" r
              where r."timestamp" >= :'lower'::timestamptz and r."timestamp" <= :'last'::timestamptz
              limit :'most'::int + 1) r)
       or exists (
         select from fresh f
           full join stored s on s.device_id = f.device_id and s.hour = f.hour
          where row(s.reading_count, s.value_sum, s.value_min, s.value_max, s.value_sxx, s.first_at, s.first_value, s.last_at, s.last_value,
                    s.value_sketch)
                is distinct from
                row(f.reading_count, f.value_sum, f.value_min, f.value_max, f.value_sxx, f.first_at, f.first_value, f.last_at, f.last_value,
                    f.value_sketch)
       ) as differs
