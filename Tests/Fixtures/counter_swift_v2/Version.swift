let counterVersion = "2"
