module example.com/lastwords/native

go 1.19
