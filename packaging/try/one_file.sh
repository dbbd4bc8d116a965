#!/bin/sh
# `neap build` of three programs: sh one_file.sh build; and, where neap is no more, run.
set -eu
cd /root/try
case $1 in
  build)
    neap build /usr/share/doc/neap/scripts/chat.lua -o chat
    neap build together.lua -o together
    mkdir beside
    neap build together.lua -o beside/together
    cp "$(dpkg -L lua-cjson | grep '/5\.4/cjson\.so$')" beside/cjson.so ;;
  run)
    ! command -v neap
    ./chat tcp://127.0.0.1:7002 &
    ./together tcp://127.0.0.1:7002
    kill $!
    cd / && /root/try/beside/together ;;
esac
