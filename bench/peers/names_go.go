// usage: names_go LOOKUPS AT-ONCE
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func processor() time.Duration {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func main() {
	lookups, _ := strconv.ParseInt(os.Args[1], 10, 64)
	atOnce, _ := strconv.Atoi(os.Args[2])
	resolver := &net.Resolver{PreferGo: true}
	var next int64
	var all sync.WaitGroup
	began, computed := time.Now(), processor()
	for i := 0; i < atOnce; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for n := atomic.AddInt64(&next, 1); n <= lookups; n = atomic.AddInt64(&next, 1) {
				found, err := resolver.LookupIPAddr(context.Background(), fmt.Sprintf("n%d.test", n))
				if err != nil || len(found) != 2 {
					fmt.Fprintln(os.Stderr, len(found), "addresses:", err)
					os.Exit(1)
				}
			}
		}()
	}
	all.Wait()
	fmt.Println(float64(lookups)/time.Since(began).Seconds(),
		(processor()-computed).Seconds()/float64(lookups)*1e6)
}
