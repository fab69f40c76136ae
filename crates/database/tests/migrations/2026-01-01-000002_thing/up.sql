insert into things values ('thing');
