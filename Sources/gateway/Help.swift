/// What `gateway --help` says.
enum Help {
    static let text = """
        examples:
          gateway                          serve what ./gateway.conf says
          gateway -c /etc/gw.conf          serve another configuration
          gateway check                    is the configuration right, can every handler be loaded and started?
          gateway -T                       the configuration with every value that is in effect

        usage: gateway [run | check] [-c FILE]

          run (or nothing)    serve in the foreground; TERM or INT ends it gracefully, a second one at once
          check, -t           parse the file, load and start every handler, serve nothing
          -T                  print the effective configuration
          -c FILE             the configuration; else $GATEWAY_CONF, ./gateway.conf, /etc/gateway/gateway.conf
          -v, --version       print the version
          -h, --help          print this

        exit status: 0 fine, 1 failure, 2 wrong usage, 78 the configuration or every handler in it is wrong
        """
}
