// usage: udp_go    a UDP echo server

package main

import (
	"fmt"
	"net"
)

func main() {
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		panic(err)
	}
	fmt.Println(socket.LocalAddr())
	bytes := make([]byte, 65536)
	for {
		n, from, err := socket.ReadFromUDPAddrPort(bytes)
		if err == nil {
			socket.WriteToUDPAddrPort(bytes[:n], from)
		}
	}
}
