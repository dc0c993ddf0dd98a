module morphling.test/peers

go 1.24
