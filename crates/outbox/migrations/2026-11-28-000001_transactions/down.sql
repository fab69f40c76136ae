alter table outbox drop column transaction_id;
