// server MODE ENDPOINT [UPSTREAM]: a goroutine a connection
package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

func echo(c net.Conn) {
	defer c.Close()
	b := make([]byte, 16*1024)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		if _, err = c.Write(b[:n]); err != nil {
			return
		}
	}
}

// Answers leave when no more of what has arrived is to be read.
func lines(c net.Conn) {
	defer c.Close()
	r, w := bufio.NewReader(c), bufio.NewWriter(c)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		w.Write(line)
		if r.Buffered() == 0 {
			w.Flush()
		}
	}
}

func relay(c net.Conn) {
	other, err := net.Dial("tcp", strings.TrimPrefix(os.Args[3], "tcp://"))
	if err != nil {
		c.Close()
		return
	}
	go func() { io.Copy(c, other); c.Close() }()
	io.Copy(other, c)
	other.Close()
}

func read() {
	for {
		if _, err := os.ReadFile(os.Args[3]); err != nil {
			panic(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func main() {
	handlers := map[string]func(net.Conn){"echo": echo, "tls": echo, "lines": lines, "relay": relay, "files": echo}
	for i := 0; i < 8 && os.Args[1] == "files"; i++ {
		go read()
	}
	network, address := "tcp", "127.0.0.1:0"
	if strings.HasPrefix(os.Args[2], "unix:") {
		network, address = "unix", os.Args[2][5:]
	}
	l, err := net.Listen(network, address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if os.Args[1] == "tls" {
		pair, err := tls.LoadX509KeyPair(os.Getenv("TLS_CERT"), os.Getenv("TLS_KEY"))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("tcp://" + l.Addr().String())
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}})
	} else if network == "unix" {
		fmt.Println(os.Args[2])
	} else {
		fmt.Println("tcp://" + l.Addr().String())
	}
	for {
		c, err := l.Accept()
		if err != nil {
			continue
		}
		go handlers[os.Args[1]](c)
	}
}
