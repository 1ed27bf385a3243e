/// Lines that are refused, and what is said of them.
let refusedDirectives: [Refusal] = [
    Refusal("user;", ["1:1+4 error: \"user\" needs the name of a user"]),
    Refusal("user a b;", ["1:8+1 error: \"user\" takes one value: the name of a user"]),
    Refusal("user '';", ["1:6+2 error: \"user\" takes the name of a user, not \"\""]),
    Refusal(
        "listen unix:/g { mode 0880; }",
        ["1:23+4 error: \"mode\" takes octal digits such as 0660, not \"0880\""]),
    Refusal(
        "listen unix:/g { mode 1777; }",
        ["1:23+4 error: \"mode\" takes octal digits such as 0660, not \"1777\""]),
    Refusal(
        "listen unix:/g { mode 66; }",
        ["1:23+2 error: \"mode\" takes octal digits such as 0660, not \"66\""]),
    Refusal(
        "listen 2 { mode 0660; }",
        ["1:12+4 error: only unix sockets have a \"mode\" and a \"group\""]),
    Refusal(
        "listen fd:3 { group a; }",
        ["1:15+5 error: only unix sockets have a \"mode\" and a \"group\""]),
    Refusal(
        "lisen 8080;",
        ["1:1+5 error: unknown directive \"lisen\" (did you mean \"listen\"?)"]),
    Refusal(
        "frobnicate;",
        ["1:1+10 error: unknown directive \"frobnicate\""]),
    Refusal(
        "threads;",
        ["1:1+7 error: \"threads\" needs \"auto\" or a number from 1 to 256"]),
    Refusal(
        "threads 0;",
        ["1:9+1 error: \"threads\" takes \"auto\" or a number from 1 to 256, not \"0\""]),
    Refusal(
        "threads 257;",
        ["1:9+3 error: \"threads\" takes \"auto\" or a number from 1 to 256, not \"257\""]),
    Refusal(
        "threads -1;",
        ["1:9+2 error: \"threads\" takes \"auto\" or a number from 1 to 256, not \"-1\""]),
    Refusal(
        "threads many;",
        ["1:9+4 error: \"threads\" takes \"auto\" or a number from 1 to 256, not \"many\""]),
    Refusal(
        "threads 1 2;",
        ["1:11+1 error: \"threads\" takes one value: \"auto\" or a number from 1 to 256"]),
    Refusal(
        "threads auto { }",
        ["1:14+1 error: \"threads\" does not take a block"]),
    Refusal(
        "threads 1;\nthreads 2;",
        ["2:1+7 error: duplicate \"threads\" (first set at gateway.conf:1)"]),
    Refusal(
        "'threads' 1;",
        ["1:1+9 error: the name of a directive does not stand in quotes"]),
    Refusal(
        "max_memory 1023k;",
        ["1:12+5 error: \"max_memory\" takes \"off\" or a size from 1m to 1024g, not \"1023k\""]),
    Refusal(
        "state_dir;", ["1:1+9 error: \"state_dir\" needs a folder"]),
    Refusal(
        "state_dir '';", ["1:11+2 error: \"state_dir\" takes a folder, not \"\""]),
    Refusal(
        "max_memory;",
        ["1:1+10 error: \"max_memory\" needs \"off\" or a size from 1m to 1024g"]),
    Refusal(
        "busy_poll;",
        ["1:1+9 error: \"busy_poll\" needs \"off\" or a duration from 1us to 1s"]),
    Refusal(
        "busy_poll 0us;",
        ["1:11+3 error: \"busy_poll\" takes \"off\" or a duration from 1us to 1s, not \"0us\""]),
    Refusal(
        "busy_poll 2s;",
        ["1:11+2 error: \"busy_poll\" takes \"off\" or a duration from 1us to 1s, not \"2s\""]),
    Refusal(
        "busy_poll 50;",
        ["1:11+2 error: \"busy_poll\" takes \"off\" or a duration from 1us to 1s, not \"50\""]),
    Refusal(
        "busy_poll 99999999999999999d;",
        ["1:11+18 error: \"busy_poll\" takes \"off\" or a duration from 1us to 1s, not \"99999999999999999d\""]),
    Refusal(
        "route /x { handler h; busy_poll 1us; }",
        ["1:23+9 error: \"busy_poll\" is not allowed in a route, only at the top level"]),
    Refusal(
        "plugins;",
        ["1:1+7 error: \"plugins\" needs a folder"]),
    Refusal(
        "plugins '';",
        ["1:9+2 error: \"plugins\" takes a folder, not \"\""]),
    Refusal(
        "plugins ./P { watch yes; settle 6s; retain 0; }",
        [
            "1:21+3 error: \"watch\" takes \"on\" or \"off\", not \"yes\"",
            "1:33+2 error: \"6s\" is out of range for \"settle\" (1ms to 5s)",
            "1:44+1 error: \"0\" is out of range for \"retain\" (1 to 1000)",
        ]),
    Refusal(
        "plugins ./P { watch; watch on off; settle off; }",
        [
            "1:15+5 error: \"watch\" needs \"on\" or \"off\"",
            "1:22+5 error: duplicate \"watch\" (first set at gateway.conf:1)",
            "1:43+3 error: \"off\" is not a duration such as 200ms, 30s or 5m",
        ]),
    Refusal(
        "plugins a b;",
        ["1:11+1 error: \"plugins\" takes one value: a folder"]),
    Refusal(
        "plugins a { wach on; }",
        ["1:13+4 error: unknown directive \"wach\" (did you mean \"watch\"?)"]),
    Refusal(
        "plugins a { threads 1; }",
        ["1:13+7 error: \"threads\" is not allowed in the block of \"plugins\", only at the top level"]),
    Refusal(
        "mode;",
        ["1:1+4 error: \"mode\" needs \"production\" or \"development\""]),
    Refusal(
        "mode prod;",
        ["1:6+4 error: \"mode\" takes \"production\" or \"development\", not \"prod\""]),
    Refusal(
        "mode production development;",
        ["1:17+11 error: \"mode\" takes one value: \"production\" or \"development\""]),
    Refusal(
        "console;",
        ["1:1+7 error: \"console\" needs a path such as /, or \"off\""]),
    Refusal(
        "console x;",
        ["1:9+1 error: \"x\" does not begin with \"/\""]),
    Refusal(
        "console /a/*;",
        ["1:9+4 error: \"console\" takes a path such as /, or \"off\", not \"/a/*\""]),
    Refusal(
        "console /a/:b;",
        ["1:9+5 error: \"console\" takes a path such as /, or \"off\", not \"/a/:b\""]),
    Refusal(
        "console /a/../b;",
        ["1:9+7 error: \"/a/../b\" has a segment \".\" or \"..\""]),
    Refusal(
        "control ./g.sock;",
        ["1:9+8 error: \"control\" takes unix:PATH or \"off\", not \"./g.sock\""]),
    Refusal(
        "control 127.0.0.1:9000;",
        ["1:9+14 error: \"control\" takes unix:PATH or \"off\", not \"127.0.0.1:9000\""]),
    Refusal(
        "control unix:@g;",
        ["1:9+7 error: \"unix:@g\" is an abstract socket, which any user could take over; give a path"]),
    Refusal(
        "control;",
        ["1:1+7 error: \"control\" needs unix:PATH or \"off\""]),
    Refusal(
        "listen unix:/run/a;\ncontrol unix:/run/a;",
        ["2:9+11 error: duplicate socket \"/run/a\" (first set at gateway.conf:1)"]),
    Refusal(
        "admin;",
        ["1:1+5 error: \"admin\" needs an address such as 127.0.0.1:9090, or \"off\""]),
    Refusal(
        "access_log;",
        ["1:1+10 error: \"access_log\" needs stderr or a file, and text or json; or \"off\""]),
    Refusal(
        "access_log json;",
        ["1:12+4 error: \"access_log\" begins with where it goes: stderr or a file, then \"json\""]),
    Refusal(
        "access_log stderr xml;",
        [
            "1:19+3 error: \"access_log\" takes stderr or a file, and text or json; or \"off\", not \"xml\""
        ]),
    Refusal(
        "access_log stderr text more;",
        ["1:24+4 error: unexpected \"more\""]),
    Refusal(
        "access_log off more;",
        ["1:16+4 error: unexpected \"more\""]),
    Refusal(
        "error_log;",
        ["1:1+9 error: \"error_log\" needs stderr or a file, a level, and text or json; or \"off\""]),
    Refusal(
        "error_log debug;",
        ["1:11+5 error: \"error_log\" begins with where it goes: stderr or a file, then \"debug\""]),
    Refusal(
        "error_log stderr loud;",
        ["1:18+4 error: \"loud\" is no level of \"error_log\""]),
    Refusal(
        "error_log stderr info warn;",
        ["1:23+4 error: unexpected \"warn\""]),
    Refusal(
        "error_log stderr info json text;",
        ["1:28+4 error: unexpected \"text\""]),
    Refusal(
        "defaults;",
        ["1:9+1 error: \"defaults\" needs a block in braces"]),
    Refusal(
        "defaults x { }",
        ["1:10+1 error: \"defaults\" takes no value, only a block"]),
    Refusal(
        "defaults { }\ndefaults { }",
        ["2:1+8 error: duplicate \"defaults\" (first set at gateway.conf:1)"]),
    Refusal(
        "max_message 1m;",
        ["1:1+11 error: \"max_message\" is not allowed at the top level, only in \"defaults\" or in a route"]),
    Refusal(
        "handler echo;",
        ["1:1+7 error: \"handler\" is not allowed at the top level, only in a route"]),
    Refusal(
        "defaults { handler echo; }",
        ["1:12+7 error: \"handler\" is not allowed in \"defaults\", only in a route"]),
    Refusal(
        "defaults { route /x { } }",
        ["1:12+5 error: \"route\" is not allowed in \"defaults\", only at the top level or in the block of a \"host\""]),
    Refusal(
        "defaults { max_mesage 1m; }",
        ["1:12+10 error: unknown directive \"max_mesage\" (did you mean \"max_message\"?)"]),
    Refusal(
        "defaults { max_message; }",
        ["1:12+11 error: \"max_message\" needs a size such as 512, 64k or 1m"]),
    Refusal(
        "defaults { max_message 1m 2m; }",
        ["1:27+2 error: \"max_message\" takes one value: a size such as 512, 64k or 1m"]),
    Refusal(
        "defaults { max_message 0; }",
        ["1:24+1 error: \"0\" is out of range for \"max_message\" (1 to 1g)"]),
    Refusal(
        "defaults { max_message 2g; }",
        ["1:24+2 error: \"2g\" is out of range for \"max_message\" (1 to 1g)"]),
    Refusal(
        "defaults { max_message off; }",
        ["1:24+3 error: \"off\" is not a size such as 512, 64k or 1m"]),
    Refusal(
        "defaults { max_frame 0; }",
        ["1:22+1 error: \"0\" is out of range for \"max_frame\" (1 to 1g)"]),
    Refusal(
        "defaults { max_body 1025m; }",
        ["1:21+5 error: \"1025m\" is out of range for \"max_body\" (0 to 1g)"]),
    Refusal(
        "defaults { send_buffer 1023; }",
        ["1:24+4 error: \"1023\" is out of range for \"send_buffer\" (1k to 1g)"]),
    Refusal(
        "defaults { send_buffer 0; }",
        ["1:24+1 error: \"0\" is out of range for \"send_buffer\" (1k to 1g)"]),
    Refusal(
        "defaults { max_head 255; }",
        ["1:21+3 error: \"255\" is out of range for \"max_head\" (256 to 1m)"]),
    Refusal(
        "defaults { max_head 1025k; }",
        ["1:21+5 error: \"1025k\" is out of range for \"max_head\" (256 to 1m)"]),
    Refusal(
        "defaults { max_headers 1k; }",
        ["1:24+2 error: \"1k\" is not a number"]),
    Refusal(
        "defaults { max_headers 0; }",
        ["1:24+1 error: \"0\" is out of range for \"max_headers\" (1 to 10000)"]),
    Refusal(
        "defaults { max_headers 10001; }",
        ["1:24+5 error: \"10001\" is out of range for \"max_headers\" (1 to 10000)"]),
    Refusal(
        "defaults { max_connections off; }",
        ["1:28+3 error: \"off\" is not a number"]),
    Refusal(
        "defaults { max_connections 0; }",
        ["1:28+1 error: \"0\" is out of range for \"max_connections\" (1 to 10000000)"]),
    Refusal(
        "defaults { max_connections 10000001; }",
        ["1:28+8 error: \"10000001\" is out of range for \"max_connections\" (1 to 10000000)"]),
    Refusal(
        "defaults { ping_interval 0s; }",
        ["1:26+2 error: \"0s\" is out of range for \"ping_interval\" (1ms to 1d)"]),
    Refusal(
        "defaults { ping_interval 25h; }",
        ["1:26+3 error: \"25h\" is out of range for \"ping_interval\" (1ms to 1d)"]),
    Refusal(
        "defaults { pong_timeout 2d; }",
        ["1:25+2 error: \"2d\" is out of range for \"pong_timeout\" (1ms to 1d)"]),
    Refusal(
        "defaults { idle_timeout 366d; }",
        ["1:25+4 error: \"366d\" is out of range for \"idle_timeout\" (1ms to 365d)"]),
    Refusal(
        "defaults { ping_interval never; }",
        ["1:26+5 error: \"never\" is not a duration such as 200ms, 30s or 5m, or \"off\""]),
    Refusal(
        "defaults { close_timeout off; }",
        ["1:26+3 error: \"off\" is not a duration such as 200ms, 30s or 5m"]),
    Refusal(
        "defaults { log_level loud; } route /x { handler h; log_level debg; }",
        [
            "1:22+4 error: \"log_level\" takes one of trace, debug, info, warning, error, not \"loud\"",
            "1:62+4 error: \"log_level\" does not take \"debg\" (did you mean \"debug\"?)",
        ]),
    Refusal(
        "defaults { callback_stall 2h; }",
        ["1:27+2 error: \"2h\" is out of range for \"callback_stall\" (1ms to 1h)"]),
    Refusal(
        "defaults { write_timeout 25h; }",
        ["1:26+3 error: \"25h\" is out of range for \"write_timeout\" (1ms to 1d)"]),
    Refusal(
        "defaults { handshake_timeout off; }",
        ["1:30+3 error: \"off\" is not a duration such as 200ms, 30s or 5m"]),
    Refusal(
        "defaults { handshake_timeout 61m; }",
        ["1:30+3 error: \"61m\" is out of range for \"handshake_timeout\" (1ms to 1h)"]),
    Refusal(
        "defaults { reply_timeout 2h; }",
        ["1:26+2 error: \"2h\" is out of range for \"reply_timeout\" (1ms to 1h)"]),
    Refusal(
        "defaults { start_timeout 0ms; }",
        ["1:26+3 error: \"0ms\" is out of range for \"start_timeout\" (1ms to 1h)"]),
    Refusal(
        "defaults { slow_consumer dropnew; } route /x { handler h; slow_consumer wait; }",
        [
            "1:26+7 error: \"slow_consumer\" does not take \"dropnew\" (did you mean \"drop_new\"?)",
            "1:73+4 error: \"slow_consumer\" takes one of close, drop_new, drop_old, pause_reads, not \"wait\"",
        ]),
    Refusal(
        "defaults { origin same-host; compression onn; }",
        ["1:42+3 error: \"compression\" does not take \"onn\" (did you mean \"on\"?)"]),
    Refusal(
        "defaults { dispatch threads; } route /x { handler h; dispatch pol; }",
        [
            "1:21+7 error: \"dispatch\" takes \"loop\" or \"pool\", not \"threads\"",
            "1:63+3 error: \"dispatch\" does not take \"pol\" (did you mean \"pool\"?)",
        ]),
    Refusal(
        "defaults { reload migrat; drain_timeout off; }",
        [
            "1:19+6 error: \"reload\" does not take \"migrat\" (did you mean \"migrate\"?)",
            "1:41+3 error: \"off\" is not a duration such as 200ms, 30s or 5m",
        ]),
    Refusal(
        "defaults { reload on; }",
        ["1:19+2 error: \"reload\" takes one of auto, migrate, drain, close, off, not \"on\""]),
    Refusal(
        "defaults { probation; }",
        ["1:12+9 error: \"probation\" needs \"off\", or a duration and perhaps a number of errors"]),
    Refusal(
        "defaults { probation 30; }",
        ["1:22+2 error: \"30\" has no unit (ms, s, m, h or d)"]),
    Refusal(
        "defaults { probation 30s many; }",
        ["1:26+4 error: \"many\" is no number of errors (0 to 1000000)"]),
    Refusal(
        "defaults { probation 0s; }",
        ["1:22+2 error: \"0s\" is out of range for \"probation\" (1ms to 1d)"]),
    Refusal(
        "defaults { probation 30s 5 6; }",
        ["1:26+1 error: \"probation\" takes one value: \"off\", or a duration and perhaps a number of errors"]),
    Refusal(
        "defaults { compression on { window 8; level 10; threshold 0; memory -1; window 9; ratio 2; } }",
        [
            "1:36+1 error: \"8\" is out of range for \"window\" (9 to 15)",
            "1:45+2 error: \"10\" is out of range for \"level\" (0 to 9)",
            "1:59+1 error: \"0\" is out of range for \"threshold\" (1 to 1g)",
            "1:69+2 error: \"-1\" is not a size such as 512, 64k or 1m",
            "1:73+6 error: duplicate \"window\" (first set at gateway.conf:1)",
            "1:83+5 error: unknown directive \"ratio\"",
        ]),
    Refusal(
        "defaults { compression; }",
        ["1:12+11 error: \"compression\" needs one of off, on, no-context-takeover"]),
    Refusal(
        "defaults { compression off off; }",
        ["1:28+3 error: \"compression\" takes one value: one of off, on, no-context-takeover"]),
    Refusal(
        "route /x { handler h; threads 1; }",
        ["1:23+7 error: \"threads\" is not allowed in a route, only at the top level"]),
    Refusal(
        "route /x { handler h; max_head 1k; handshake_timeout 1s; max_headers 3; }",
        [
            "1:23+8 error: \"max_head\" is not allowed in a route, only in \"defaults\"",
            "1:36+17 error: \"handshake_timeout\" is not allowed in a route, only in \"defaults\"",
            "1:58+11 error: \"max_headers\" is not allowed in a route, only in \"defaults\"",
        ]),
]
