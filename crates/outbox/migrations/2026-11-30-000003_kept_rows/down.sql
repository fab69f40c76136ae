drop trigger outbox_keep_rows on outbox;
drop trigger outbox_keep_table on outbox;
drop function outbox_keep_rows;
