%% server MODE ENDPOINT: a process a connection, active once
-module(server).
-export([main/0]).

main() ->
    [Mode, Endpoint | _] = init:get_plain_arguments(),
    {Packet, Handler} =
        case Mode of
            "lines" -> {line, fun echo/1};
            "echo" -> {raw, fun echo/1}
        end,
    Common = [binary, {packet, Packet}, {active, false}, {backlog, 4096}, {buffer, 65536}],
    {Port, Options} =
        case Endpoint of
            "unix:" ++ Path -> {0, [{ifaddr, {local, Path}} | Common]};
            _ -> {0, [{ip, {127, 0, 0, 1}}, {nodelay, true}, {reuseaddr, true} | Common]}
        end,
    {ok, Listener} = gen_tcp:listen(Port, Options),
    case Endpoint of
        "unix:" ++ _ -> io:format("~s~n", [Endpoint]);
        _ ->
            {ok, Number} = inet:port(Listener),
            io:format("tcp://127.0.0.1:~b~n", [Number])
    end,
    accept(Listener, Handler).

accept(Listener, Handler) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    Pid = spawn(fun() -> receive go -> Handler(Socket) end end),
    ok = gen_tcp:controlling_process(Socket, Pid),
    Pid ! go,
    accept(Listener, Handler).

echo(Socket) ->
    inet:setopts(Socket, [{active, once}]),
    receive
        {tcp, Socket, Data} ->
            gen_tcp:send(Socket, Data),
            echo(Socket);
        {tcp_closed, Socket} -> ok;
        {tcp_error, Socket, _} -> gen_tcp:close(Socket)
    end.
