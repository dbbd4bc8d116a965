# What bash completes behind neap.

_neap() {
  local cur prev words cword i word='' files=yes
  _init_completion -n = || return
  for ((i = 1; i < cword; i++)); do
    case ${words[i]} in
      -w | -e | -l) ((i++)) ;;
      --) i=$((i + 1)); [ "$i" -lt "$cword" ] && word=${words[i]}; files=; break ;;
      -?*) ;;
      *) word=${words[i]}; break ;;
    esac
  done

  local processes='attach ps socks stack top profile heap'
  if [ -z "$word" ]; then
    case $prev in
      -w) COMPREPLY=($(compgen -W "$(nproc)" -- "$cur")); return ;;
      -e | -l) return ;;
    esac
    case $cur in
      --trace=* | --profile=* | --allow-read=* | --allow-write=*)
        COMPREPLY=($(compgen -f -- "${cur#*=}")); compopt -o filenames; return ;;
      --trace-format=*) COMPREPLY=($(compgen -W 'text pcapng' -- "${cur#*=}")); return ;;
      --allow-env=*) COMPREPLY=($(compgen -e -- "${cur#*=}")); return ;;
      --*=*) return ;;
      -*)
        [ "$files" ] || return
        COMPREPLY=($(compgen -W '-e -l -i -v -E -W -w -h --help --version --luarc --luasocket --no-attach
          --drain= --memory= --watchdog= --busy-poll= --profile= --trace --trace= --trace-filter=
          --trace-bytes= --trace-format= --restrict --allow-connect= --allow-listen= --allow-bind= --allow-read=
          --allow-write= --allow-run --allow-env=' -- "$cur"))
        [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
        return ;;
    esac
    [ "$files" ] && COMPREPLY=($(compgen -W "$processes test build sim" -- "$cur"))
    _filedir lua
  elif [[ " $processes " == *" $word "* && "$files" ]]; then
    case $cur in
      -*) case $word in
        top) COMPREPLY=($(compgen -W '--once' -- "$cur")) ;;
        profile | heap) COMPREPLY=($(compgen -W '-o' -- "$cur")) ;;
      esac ;;
      */*) _filedir ;;
      *) COMPREPLY=($(compgen -W "$(pidof neap)" -- "$cur")) ;;
    esac
  elif [[ $word == build && $cur == --*=* ]]; then
    COMPREPLY=($(compgen -f -- "${cur#*=}")); compopt -o filenames
  elif [[ $word == build && $cur == -* ]]; then
    COMPREPLY=($(compgen -W '-o --output= --include= --base= --help' -- "$cur"))
    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
  elif [[ $word == test && $cur == -* ]]; then
    COMPREPLY=($(compgen -W '--timeout= -j --jobs= --coverage --help' -- "$cur"))
  else
    _filedir
  fi
}

complete -F _neap neap
