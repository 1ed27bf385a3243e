let counterVersion = "1"
