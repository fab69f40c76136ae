alter table streams drop column losses;
