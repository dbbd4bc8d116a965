// http_go http ENDPOINT
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
)

func send(w http.ResponseWriter, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}

func main() {
	text := map[string]string{"text": strings.Repeat("x", 1012)}
	file := []byte(strings.Repeat("x", 100*1024))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("tcp://%s\n", listener.Addr())
	panic(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			send(w, "text/plain; charset=utf-8", []byte("hello\n"))
		case "/json":
			body, _ := json.Marshal(text)
			send(w, "application/json", append(body, '\n'))
		case "/file":
			send(w, "application/octet-stream", file)
		case "/large":
			http.ServeFile(w, r, os.Getenv("BUILD")+"/large")
		default:
			count, _ := io.Copy(io.Discard, r.Body)
			send(w, "text/plain; charset=utf-8", []byte(fmt.Sprintln(count)))
		}
	})))
}
