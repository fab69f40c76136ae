alter table things drop column note;
