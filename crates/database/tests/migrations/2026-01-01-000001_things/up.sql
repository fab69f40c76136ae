create table things (name text not null);
