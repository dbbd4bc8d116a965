// tasks [COUNT]: goroutines
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

func main() {
	count := 200000
	if len(os.Args) > 1 {
		count, _ = strconv.Atoi(os.Args[1])
	}
	start := time.Now()
	for i := 0; i < count/1000; i++ {
		var group sync.WaitGroup
		group.Add(1000)
		for j := 0; j < 1000; j++ {
			go group.Done()
		}
		group.Wait()
	}
	spawn := time.Since(start)
	start = time.Now()
	var group sync.WaitGroup
	group.Add(2)
	for i := 0; i < 2; i++ {
		go func() {
			for j := 0; j < count; j++ {
				runtime.Gosched()
			}
			group.Done()
		}()
	}
	group.Wait()
	n := float64(count)
	fmt.Printf("%.1f %.1f\n", float64(spawn.Nanoseconds())/n, float64(time.Since(start).Nanoseconds())/n/2)
}
