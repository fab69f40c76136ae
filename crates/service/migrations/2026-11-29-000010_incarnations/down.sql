DROP TABLE incarnations;
