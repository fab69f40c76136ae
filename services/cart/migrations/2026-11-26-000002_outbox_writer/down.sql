alter table outbox drop column writer;
