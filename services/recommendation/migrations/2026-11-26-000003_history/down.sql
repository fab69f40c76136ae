alter table streams drop column newest_seq, drop column newest_epoch, drop column incomplete;
