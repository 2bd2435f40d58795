// SPDX-License-Identifier: MIT

package tidegate_test

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/internal/servertest"
)

var descriptorKind = regexp.MustCompile(`-> (\w+)`)

// descriptorsOfAChild counts, by kind, what a program sees that exec.Command starts.
func descriptorsOfAChild(t *testing.T) map[string]int {
	t.Helper()
	out, err := exec.Command("ls", "-l", "/proc/self/fd").Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	kinds := map[string]int{}
	for _, found := range descriptorKind.FindAllStringSubmatch(string(out), -1) {
		kinds[found[1]]++
	}
	return kinds
}

func TestAChildInheritsNoDescriptor(t *testing.T) {
	eachWay(t, func(t *testing.T, s *servertest.Server, way ...tidegate.ConnectOption) {
		before := descriptorsOfAChild(t)
		gate := open(t, s.URL("timeout_ms=5000"), way...)
		if d := consume(t, limiter(t, gate, "5/hour"), "k"); d.Source != tidegate.SourceStore {
			t.Fatal(d)
		}
		for kind, count := range descriptorsOfAChild(t) {
			if count > before[kind] {
				t.Errorf("a child has %d of %s, %d before the gate was opened", count, kind, before[kind])
			}
		}
	})
}

// slow passes a server's connections on, each way after a delay, and returns its socket.
func slow(t *testing.T, to string, delay time.Duration) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var ended sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		ended.Wait()
	})
	pass := func(from, to net.Conn) {
		defer ended.Done()
		type piece struct {
			bytes []byte
			at    time.Time
		}
		pieces := make(chan piece, 1024)
		go func() {
			defer to.Close()
			for p := range pieces {
				time.Sleep(time.Until(p.at))
				_, _ = to.Write(p.bytes)
			}
		}()
		defer close(pieces)
		for {
			bytes := make([]byte, 4096)
			n, err := from.Read(bytes)
			if err != nil {
				return
			}
			pieces <- piece{bytes[:n], time.Now().Add(delay)}
		}
	}
	ended.Add(1)
	go func() {
		defer ended.Done()
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", to)
			if err != nil {
				client.Close()
				continue
			}
			ended.Add(2)
			go pass(client, server)
			go pass(server, client)
		}
	}()
	return path
}

// A caller in a hurry says nothing about the store: those who have time are answered by it.
func TestShortDeadlinesOfOneCaller(t *testing.T) {
	servertest.EachServer(t, func(t *testing.T, s *servertest.Server) {
		url := "unix://" + slow(t, s.Socket, 20*time.Millisecond)
		gate := open(t, url, quiet(), tidegate.Timeout(time.Second))
		api := limiter(t, gate, "1000/hour", tidegate.Name("api"))
		if d := consume(t, api, "patient"); d.Source != tidegate.SourceStore {
			t.Fatal(d)
		}
		for i := range 12 {
			d, err := api.Consume(within(t, 5*time.Millisecond), fmt.Sprint("hurried", i))
			if err != nil || d.Source != tidegate.SourceFallback {
				t.Fatalf("%d, in a hurry: %v %v", i, d, err)
			}
			time.Sleep(10 * time.Millisecond) // failures that come together count as one
		}
		for i := range 20 {
			if d := consume(t, api, "patient"); d.Source != tidegate.SourceStore {
				t.Errorf("%d, patient: %v", i, d)
			}
		}
		if stats, err := gate.Stats(); err != nil || stats.BreakerOpened != 0 {
			t.Errorf("the breaker opened %d times: %v", stats.BreakerOpened, err)
		}
	})
}
