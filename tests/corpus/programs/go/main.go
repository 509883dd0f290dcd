// Dies, or does not, in the way that its argument names.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"time"
)

type code int
type word string
type point struct{ x, y int }
type failure struct{ what string }

func (f failure) Error() string { return f.what }

type shout struct{}

func (shout) Error() string { panic("no words") }

type stack[T any] struct{ all []T }

func (s *stack[T]) pop() T { return s.all[len(s.all)-1] }

func each[K comparable, V any](all map[K]V, f func(K, V)) {
	for k, v := range all {
		f(k, v)
	}
}

type server struct{ name string }

func (s *server) serve(n int) { panic(fmt.Sprintf("%s cannot serve %d", s.name, n)) }

type runner interface{ run() }
type task struct{ n int }

func (t task) run() { panic(fmt.Sprint("task ", t.n)) }

func guard(f func(), then func(any)) {
	defer func() { then(recover()) }()
	f()
}

func deep(n int) int {
	if n == 0 {
		panic("deep down")
	}
	return deep(n-1) + 1
}

func endless(n int) int { return endless(n+1) + 1 }

func wait(all *sync.WaitGroup, never chan int) {
	all.Done()
	<-never
}

func flood(n int) {
	var all sync.WaitGroup
	never := make(chan int)
	all.Add(n)
	for i := 0; i < n; i++ {
		go wait(&all, never)
	}
	all.Wait()
	time.Sleep(50 * time.Millisecond)
}

func chatter() {
	for i := 0; i < 4; i++ {
		go func(i int) {
			for n := 0; ; n++ {
				log.Printf("worker %d did %d", i, n)
			}
		}(i)
	}
	time.Sleep(5 * time.Millisecond)
}

func recovered(print func(any)) {
	guard(func() { panic("boom") }, print)
	fmt.Fprintln(os.Stderr, "still here")
}

func mapFile() []byte {
	file, err := os.CreateTemp("", "crash")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(file.Name())
	file.Truncate(8192)
	data, err := syscall.Mmap(int(file.Fd()), 0, 8192, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		log.Fatal(err)
	}
	file.Truncate(0)
	return data
}

var sink any

// The cases that are named after what they call: a closure's name differs from release to release.
func fail()                 { panic(failure{"disk full"}) }
func failLines()            { panic("a:\n\n  b\nc\n") }
func third()                { panic("third") }
func second()               { defer third(); panic("second") }
func first()                { defer second(); panic("first") }
func rethrow(v any)         { panic(fmt.Sprint("outer: ", v)) }
func unlock()               { new(sync.Mutex).Unlock() }
func peek(data []byte) byte { return data[4096] }
func failAmid()             { panic("amid chatter") }
func failFlood()            { panic("flood") }
func late()                 { panic("too late") }
func grandchild()           { panic("grandchild") }

func hoard() {
	var all [][]byte
	for {
		all = append(all, make([]byte, 64<<20))
		for i := 0; i < len(all[len(all)-1]); i += 4096 {
			all[len(all)-1][i] = 1
		}
		sink = all
	}
}

var cases = map[string]func(){
	"error":        func() { panic(failure{"disk full"}) },
	"wrapped":      func() { panic(fmt.Errorf("load: %w", errors.New("no such table"))) },
	"code":         func() { panic(code(7)) },
	"word":         func() { panic(word("stop")) },
	"struct":       func() { panic(point{1, 2}) },
	"pointer":      func() { panic(&point{1, 2}) },
	"float":        func() { panic(1.5) },
	"nil":          func() { panic(nil) },
	"shout":        func() { panic(shout{}) },
	"tabs":         func() { panic("a:\n\tb\n\t\tc\n") },
	"newlines":     func() { panic("\n\nfirst\n\n\nlast\n\n") },
	"quoted-trace": func() { panic("child died: panic: oops\n\ngoroutine 1 [running]:\nchild.f()\n\t/c.go:1 +0x1\n") },
	"long":         func() { panic(strings.Repeat("0123456789", 20_000)) },
	"generic":      func() { new(stack[string]).pop() },
	"generic-call": func() { each(map[string]int{"a": 1}, func(k string, v int) { panic(k) }) },
	"method-value": func() { f := (&server{"s"}).serve; f(3) },
	"go-method": func() {
		go (&server{"s"}).serve(4)
		select {}
	},
	"wrapper":   func() { var r runner = &task{3}; r.run() },
	"nil-value": func() { var t *task; var r runner = t; r.run() },
	"deep":      func() { deep(300) },
	"endless":   func() { endless(0) },
	"nested": func() {
		defer func() {
			defer func() { panic("third") }()
			panic("second")
		}()
		panic("first")
	},
	"repanic":      func() { guard(func() { panic("inner") }, func(v any) { panic(fmt.Sprint("outer: ", v)) }) },
	"repanic-same": func() { guard(func() { panic("inner") }, func(v any) { panic(v) }) },
	"goexit":       func() { runtime.Goexit() },
	"goexit-panic": func() {
		go func() {
			defer func() { panic("while leaving") }()
			runtime.Goexit()
		}()
		select {}
	},
	"deadlock": func() { select {} },
	"fatal-in-panic": func() {
		defer func() { new(sync.Mutex).Unlock() }()
		panic("first")
	},
	"locked": func() { runtime.LockOSThread(); panic("on this thread") },
	"finalizer": func() {
		runtime.SetFinalizer(new(server), func(*server) { panic("finally") })
		for {
			runtime.GC()
		}
	},
	"timer":   func() { time.AfterFunc(time.Millisecond, late); select {} },
	"two":     func() { go panic("one"); go panic("other"); select {} },
	"chatter": func() { chatter(); panic("amid chatter") },
	"chatter-quit": func() {
		chatter()
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
		select {}
	},
	"flood":         func() { flood(10_000); panic("flood") },
	"quit":          func() { flood(100); syscall.Kill(os.Getpid(), syscall.SIGQUIT); select {} },
	"abort":         func() { syscall.Kill(os.Getpid(), syscall.SIGABRT); select {} },
	"user-segv":     func() { syscall.Kill(os.Getpid(), syscall.SIGSEGV); select {} },
	"fault":         func() { data := mapFile(); sink = data[4096] },
	"fault-panic":   func() { debug.SetPanicOnFault(true); data := mapFile(); sink = data[4096] },
	"memory":        hoard,
	"named-error":   fail,
	"named-lines":   failLines,
	"named-nested":  first,
	"named-repanic": func() { guard(func() { panic("inner") }, rethrow) },
	"named-fatal":   unlock,
	"named-fault":   func() { sink = peek(mapFile()) },
	"named-chatter": func() { chatter(); failAmid() },
	"named-flood":   func() { flood(10_000); failFlood() },
	"labels": func() {
		pprof.Do(context.Background(), pprof.Labels("job", "nightly run"), func(context.Context) { panic("labelled") })
	},
	"ancestors": func() {
		go func() { go grandchild(); select {} }()
		select {}
	},
	"log-panic": func() { log.Panicf("quota of %s", "a") },
	"signal":    func() { syscall.Kill(os.Getpid(), syscall.SIGTERM); select {} },

	"log-fatal":   func() { log.Fatal("panic: not really") },
	"print-stack": func() { recovered(func(v any) { fmt.Fprintln(os.Stderr, "panic:", v); debug.PrintStack() }) },
	"print-blank": func() {
		recovered(func(v any) { fmt.Fprintf(os.Stderr, "panic: %v\n\n%s", v, debug.Stack()) })
	},
	"print-own": func() {
		recovered(func(v any) {
			buffer := make([]byte, 64<<10)
			n := runtime.Stack(buffer, false)
			fmt.Fprintf(os.Stderr, "panic: %v\n\n%s\n", v, buffer[:n])
		})
	},
	"print-all": func() {
		flood(3)
		recovered(func(v any) {
			buffer := make([]byte, 64<<10)
			n := runtime.Stack(buffer, true)
			fmt.Fprintf(os.Stderr, "panic: %v [handled]\n\n%s\n", v, buffer[:n])
		})
	},
	"http": func() {
		handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("in a handler") })
		server := httptest.NewServer(handler)
		http.Get(server.URL)
		server.Close()
	},
	"profile": func() { flood(5); pprof.Lookup("goroutine").WriteTo(os.Stderr, 2) },
	"says":    func() { fmt.Fprintln(os.Stderr, "panic: only a word"); os.Exit(1) },
}

func main() {
	run, known := cases[os.Args[1]]
	if !known {
		for name := range cases {
			fmt.Println(name)
		}
		return
	}
	run()
}
