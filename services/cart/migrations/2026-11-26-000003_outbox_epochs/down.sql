drop trigger outbox_head_begin_epoch on outbox_head;
drop function outbox_head_begin_epoch();
alter table outbox_head drop column epoch, drop column last_epoch;
drop table outbox_epochs;
