# What fish completes behind neap.

set -l processes attach ps socks stack top profile heap
set -l first "not __fish_seen_subcommand_from $processes test build sim; and not __fish_neap_has_script"

# Is a script there already?  What stands behind it is its own.
function __fish_neap_has_script
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case -e -l -w
                set -e words[1]
            case -- '-?*'
            case '*'
                return 0
        end
        set -e words[1]
    end
    return 1
end

function __fish_neap_processes
    ps -C neap -o pid= -o args= 2>/dev/null | string replace -r '^ *(\d+) ' '$1\t'
end

complete -c neap -n $first -a attach -d 'A prompt in a running neap'
complete -c neap -n $first -a ps -d 'Its tasks'
complete -c neap -n $first -a socks -d 'Its sockets'
complete -c neap -n $first -a stack -d 'Where its tasks are'
complete -c neap -n $first -a top -d 'What its tasks and sockets cost'
complete -c neap -n $first -a profile -d 'Where its processor time goes'
complete -c neap -n $first -a heap -d 'Its memory'
complete -c neap -n $first -a test -d 'Run specs with busted'
complete -c neap -n $first -a sim -d 'Run a simulated world'
complete -c neap -n $first -a build -d 'Make an executable of a script'

complete -c neap -n $first -s e -x -d 'Run code'
complete -c neap -n $first -s l -x -d 'Require a module into a global'
complete -c neap -n $first -s i -d 'A prompt when the program has ended'
complete -c neap -n $first -s v -l version -d 'Print the version'
complete -c neap -n $first -s E -d 'Ignore the environment variables of Lua'
complete -c neap -n $first -s W -d 'Turn warnings on'
complete -c neap -n $first -s w -x -d 'Run the program in so many workers'
complete -c neap -n $first -s h -l help -d 'Print a summary'
complete -c neap -n $first -l luarc -d 'Write .luarc.json for lua-language-server'
complete -c neap -n $first -l luasocket -d 'LuaSocket that waits as neap does'
complete -c neap -n $first -l no-attach -d 'Nobody may attach to it'
complete -c neap -n $first -l drain -x -d 'Seconds for what is served to end'
complete -c neap -n $first -l memory -x -d 'A bound of the memory of Lua'
complete -c neap -n $first -l watchdog -x -d 'Seconds before a task that keeps others waiting is named'
complete -c neap -n $first -l busy-poll -x -d 'Microseconds to look for news before sleeping'
complete -c neap -n $first -l profile -r -F -d 'Where the processor time goes'
complete -c neap -n $first -l restrict -d 'Refuse the network, files, programs and the environment'
complete -c neap -n $first -l allow-connect -x -d 'But for connecting there'
complete -c neap -n $first -l allow-listen -x -d 'But for listening there'
complete -c neap -n $first -l allow-bind -x -d 'But for message sockets there'
complete -c neap -n $first -l allow-read -r -F -d 'But for reading there'
complete -c neap -n $first -l allow-write -r -F -d 'But for writing there'
complete -c neap -n $first -l allow-run -d 'But for programs'
complete -c neap -n $first -l allow-env -x -a '(set -nx)' -d 'But for a variable'
complete -c neap -n $first -l trace -d 'Show what the sockets do'
complete -c neap -n $first -l trace-filter -x -d 'Only there'
complete -c neap -n $first -l trace-bytes -x -d 'Bytes of each event'
complete -c neap -n $first -l trace-format -x -a 'text pcapng' -d 'Of what it shows'

complete -c neap -n "__fish_seen_subcommand_from $processes" -f -a '(__fish_neap_processes)'
complete -c neap -n '__fish_seen_subcommand_from top' -l once -d 'One table'
complete -c neap -n '__fish_seen_subcommand_from profile heap' -s o -r -F -d 'Into a file'
complete -c neap -n '__fish_seen_subcommand_from test' -l timeout -x -d 'Seconds for each test'
complete -c neap -n '__fish_seen_subcommand_from test' -s j -l jobs -x -d 'Files at a time'
complete -c neap -n '__fish_seen_subcommand_from test' -s c -l coverage -d 'Which lines have run'
complete -c neap -n '__fish_seen_subcommand_from build' -s o -l output -r -F -d 'What to write'
complete -c neap -n '__fish_seen_subcommand_from build' -l include -r -F -d 'Carry this too'
complete -c neap -n '__fish_seen_subcommand_from build' -l base -r -F -d 'The neap to take'
