-- Frees DEFAULT of what was moved out of it, which ATTACH would still have to scan. Lock: SHARE UPDATE EXCLUSIVE on DEFAULT,
-- or none when somebody holds it. May not run in a transaction. Truncating would want ACCESS EXCLUSIVE.
vacuum (skip_locked, truncate false) :"default_schema".:"default"
