-- Makes a leaf as a table of its own, with the columns, defaults, generated columns and CHECK and NOT NULL constraints of its parent.
-- Lock: ACCESS SHARE on the parent. May run in a transaction, and does: the one that attaches it.
-- Left out: identity (ATTACH refuses it on 17 and 18), indexes (made one by one, under names that cannot collide), foreign
-- keys (ATTACH adds them itself under SHARE ROW EXCLUSIVE on the referenced table; made before, it would take ACCESS EXCLUSIVE).
create table :"schema".:"leaf" (
  like :"parent_schema".:"parent"
    including defaults including generated including storage including compression
    including constraints including comments including statistics
)
