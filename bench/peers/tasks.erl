%% tasks [COUNT]: processes
-module(tasks).
-export([main/0]).

main() ->
    Count = case init:get_plain_arguments() of
        [Text | _] -> list_to_integer(Text);
        [] -> 200000
    end,
    T0 = erlang:monotonic_time(nanosecond),
    batches(Count div 1000),
    T1 = erlang:monotonic_time(nanosecond),
    Self = self(),
    [spawn(fun() -> yielding(Count), Self ! done end) || _ <- [a, b]],
    [receive done -> ok end || _ <- [a, b]],
    T2 = erlang:monotonic_time(nanosecond),
    io:format("~.1f ~.1f~n", [(T1 - T0) / Count, (T2 - T1) / Count / 2]),
    halt().

batches(0) -> ok;
batches(N) ->
    Self = self(),
    [spawn(fun() -> Self ! done end) || _ <- lists:seq(1, 1000)],
    [receive done -> ok end || _ <- lists:seq(1, 1000)],
    batches(N - 1).

yielding(0) -> ok;
yielding(N) -> erlang:yield(), yielding(N - 1).
