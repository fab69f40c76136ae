delete from things;
