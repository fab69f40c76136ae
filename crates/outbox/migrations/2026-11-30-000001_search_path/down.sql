alter function outbox_head_begin_epoch() reset search_path;
