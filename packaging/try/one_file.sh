#!/bin/sh
# `neap build` of three programs: sh one_file.sh build; and, where neap is no more, run. There is no
# /proc here, so it is told which neap it is.
set -eu
cd /root/try
case $1 in
  build)
    neap build --base=/usr/bin/neap /usr/share/doc/neap/scripts/chat.lua -o chat
    neap build --base=/usr/bin/neap together.lua -o together
    mkdir beside
    neap build --base=/usr/bin/neap together.lua -o beside/together
    cp "$(dpkg -L lua-cjson | grep '/5\.4/cjson\.so$')" beside/cjson.so ;;
  run)
    if command -v neap; then exit 1; fi
    ./chat tcp://127.0.0.1:7002 &
    ./together tcp://127.0.0.1:7002
    kill $!
    cd / && /root/try/beside/together ;;
esac
