drop table outbox, outbox_head, outbox_epochs;
drop function outbox_next_id, outbox_take_free_id, outbox_head_begin_epoch;
