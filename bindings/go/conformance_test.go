// SPDX-License-Identifier: MIT

package tidegate_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/internal/servertest"
	"github.com/tidegate/tidegate/bindings/go/tidegatetest"
)

type vectorLimit struct {
	Algorithm string
	Limit     int64
	WindowUS  int64 `json:"window_us"`
	Burst     *int64
	Shadow    bool
	Overdraft int64
}

type vectorAnswer struct {
	Allowed      bool
	Remaining    int64
	RetryAfterUS int64 `json:"retry_after_us"`
	NextUS       int64 `json:"next_us"`
	ResetAfterUS int64 `json:"reset_after_us"`
	Short        int64
}

type vector struct {
	ID     string
	Limits []vectorLimit
	Steps  []struct {
		At    int64
		Op    string
		Limit int
		To    vectorLimit
		Parts []struct {
			Limit int
			Key   string
			Cost  int64
			ID    string
		}
		Expect struct {
			Allowed bool
			Binding int
			Parts   []vectorAnswer
		}
	}
}

func (l vectorLimit) rates() string {
	if l.Algorithm == "concurrency" {
		return fmt.Sprintf("%d at once", l.Limit)
	}
	text := fmt.Sprintf("%d/%dus", l.Limit, l.WindowUS)
	if l.Burst != nil {
		text += fmt.Sprintf(" burst %d", *l.Burst)
	}
	if l.Overdraft != 0 {
		text += fmt.Sprintf(" overdraft %d", l.Overdraft)
	}
	return text
}

func (l vectorLimit) options() []tidegate.LimiterOption {
	mode := "enforce"
	if l.Shadow {
		mode = "shadow"
	}
	options := []tidegate.LimiterOption{tidegate.Algorithm(l.Algorithm), tidegate.Mode(mode)}
	if l.Algorithm == "concurrency" {
		lease := time.Duration(l.WindowUS) * time.Microsecond
		options = append(options, tidegate.Lease(lease))
	}
	return options
}

func us(d time.Duration) int64 {
	if d == tidegate.Never {
		return -1
	}
	return d.Microseconds()
}

// eachLine calls f with every line of a file of tests/conformance and says how many there were.
func eachLine(t *testing.T, name string, f func(line []byte)) int {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "..", "tests", "conformance", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<24)
	count := 0
	for ; scanner.Scan(); count++ {
		f(scanner.Bytes())
	}
	return count
}

func perform(gate *tidegate.Gate, op string, charges []tidegate.Charge) (tidegate.Decision, error) {
	switch op {
	case "consume":
		return gate.Consume(ctx, charges...)
	case "peek":
		return gate.Peek(ctx, charges...)
	case "debit":
		return gate.Debit(ctx, tidegate.SourceNone, charges...)
	case "refund":
		return tidegate.Decision{}, gate.Refund(ctx, tidegate.SourceNone, charges...)
	case "reset":
		return tidegate.Decision{}, gate.Reset(ctx, charges...)
	}
	return tidegate.Decision{}, fmt.Errorf("unknown operation %q", op)
}

func play(t *testing.T, v *vector, url string, options ...tidegate.ConnectOption) {
	t.Helper()
	clock := tidegatetest.NewClock(time.UnixMicro(0))
	gate, err := tidegate.Connect(url, append(options, tidegate.UseClock(clock))...)
	if err != nil {
		t.Fatal(err)
	}
	defer gate.Close()
	var limiters []*tidegate.Limiter
	for i, l := range v.Limits {
		name := tidegate.Name(fmt.Sprint("l", i))
		limiter, err := gate.Limiter(l.rates(), append(l.options(), name)...)
		if err != nil {
			t.Fatalf("%s: %v", v.ID, err)
		}
		limiters = append(limiters, limiter)
	}
	for at, step := range v.Steps {
		clock.SetUS(step.At)
		if step.Op == "change" {
			if err := limiters[step.Limit].Change(step.To.rates(), step.To.options()...); err != nil {
				t.Fatalf("%s, step %d: %v", v.ID, at, err)
			}
			continue
		}
		var charges []tidegate.Charge
		for _, p := range step.Parts {
			options := []tidegate.CallOption{tidegate.Cost(p.Cost)}
			if p.ID != "" {
				options = append(options, tidegate.ID(p.ID))
			}
			charges = append(charges, limiters[p.Limit].For(p.Key, options...))
		}
		d, err := perform(gate, step.Op, charges)
		if err != nil {
			t.Fatalf("%s, step %d: %v", v.ID, at, err)
		}
		if step.Op == "refund" || step.Op == "reset" {
			continue
		}
		var got []vectorAnswer
		for _, p := range d.Parts {
			got = append(got, vectorAnswer{
				p.Allowed, p.Remaining, us(p.RetryAfter), us(p.NextAfter), us(p.ResetAfter),
				p.Shortfall,
			})
		}
		binding := step.Expect.Parts[step.Expect.Binding]
		if d.Allowed != step.Expect.Allowed || fmt.Sprint(got) != fmt.Sprint(step.Expect.Parts) ||
			d.Remaining != binding.Remaining || us(d.RetryAfter) != binding.RetryAfterUS {
			t.Fatalf("%s, step %d: got %v %+v, expected %+v", v.ID, at, d, got, step.Expect)
		}
	}
}

func playAll(
	t *testing.T, file, url string, options func(id string) []tidegate.ConnectOption,
) {
	n := eachLine(t, file, func(line []byte) {
		var v vector
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		play(t, &v, url, options(v.ID)...)
	})
	if n != 300 {
		t.Fatalf("%d scenarios, expected 300", n)
	}
}

func TestEveryScenarioOfTheModelOnTheEmbeddedStore(t *testing.T) {
	for _, file := range []string{"vectors.jsonl", "slots.jsonl"} {
		playAll(t, file, "memory://", func(string) []tidegate.ConnectOption { return nil })
	}
}

func TestEveryScenarioOfTheModelOnServers(t *testing.T) {
	servertest.EachServer(t, func(t *testing.T, s *servertest.Server) {
		for _, file := range []string{"vectors.jsonl", "slots.jsonl"} {
			url := s.URL("testing=1", "timeout_ms=10000")
			playAll(t, file, url, func(id string) []tidegate.ConnectOption {
				return []tidegate.ConnectOption{tidegate.Namespace("go-" + file[:1] + id), quiet()}
			})
		}
	})
}
