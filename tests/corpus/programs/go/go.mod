module example.com/lastwords/crash

go 1.19
