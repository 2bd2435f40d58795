// SPDX-License-Identifier: MIT

// The Go rows of the benchmark: tidegate, redis_rate and rueidis on one server, interleaved,
// medians of the rounds.
//
//	go run . --server /usr/bin/valkey-server --json rows.json
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// row is one line of the table, and of the JSON file.
type row struct {
	Row         string  `json:"row"`
	Ours        float64 `json:"ours"`
	Peer        float64 `json:"peer"`
	PeerVersion string  `json:"peer_version"`
	Ratio       float64 `json:"ratio"`
	Target      string  `json:"target"`
	Met         *bool   `json:"met"` // null: a figure without a target
	Unit        string  `json:"unit"`
}

var (
	rounds = flag.Int("rounds", 5, "rounds; the medians are shown")
	length = flag.Duration("length", 700*time.Millisecond, "how long each contestant runs in a round")
	binary = flag.String("server", "",
		"the server's binary; none: the first of $TIDEGATE_SERVERS that is a Valkey")
	output = flag.String("json", "", "a file for the rows")
)

func main() {
	flag.Parse()
	s, err := start(*binary)
	if err != nil {
		log.Fatal(err)
	}
	rows, err := run(s)
	s.stop()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, %s, GOMAXPROCS %d, %s\n\n", s.version, runtime.Version(),
		runtime.GOMAXPROCS(0), processor())
	table(rows)
	if *output != "" {
		data, err := json.MarshalIndent(rows, "", "  ")
		if err == nil {
			err = os.WriteFile(*output, append(data, '\n'), 0o644)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}

func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, _ := strings.Cut(string(info), "model name\t: ")
	name, _, _ := strings.Cut(rest, "\n")
	return name
}

// run lets every contestant play every round, one after another.
func run(s *server) ([]row, error) {
	ctx := context.Background()
	contestants, closeAll, err := enter(ctx, s)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	p50 := map[string][]float64{}
	rate, cpu := map[string][]float64{}, map[string][]float64{}
	for range *rounds {
		for _, c := range contestants {
			p50[c.name] = append(p50[c.name], alone(ctx, c))
		}
		for _, c := range contestants {
			if c.name != raw { // one connection, one caller
				decisions, us := together(ctx, c, 64)
				rate[c.name] = append(rate[c.name], decisions)
				cpu[c.name] = append(cpu[c.name], us)
			}
		}
	}
	var rows []row
	add := func(name, ours, peer string, figures map[string][]float64, unit string, target float64) {
		r := row{
			Row:         name,
			Ours:        median(figures[ours]),
			Peer:        median(figures[peer]),
			Unit:        unit,
			PeerVersion: version(peer),
		}
		r.Ratio = r.Ours / r.Peer
		switch {
		case target == 0:
			r.Target = "-"
		case unit == "us":
			r.Target, r.Met = fmt.Sprintf("<= %gx", target), met(r.Ratio <= target)
		default:
			r.Target, r.Met = fmt.Sprintf(">= %gx", target), met(r.Ratio >= target)
		}
		rows = append(rows, r)
	}
	add("Go, one caller, p50, against a raw EVALSHA", ours, raw, p50, "us", 1.1)
	add("Go, one caller, p50, against redis_rate", ours, redisRate, p50, "us", 0)
	add("Go, 64 goroutines, against redis_rate", ours, redisRate, rate, "decisions/s", 2)
	add("Go, 64 goroutines, against rueidis with a script", ours, rueidisScript, rate,
		"decisions/s", 1.3)
	add("Go, 64 goroutines, client CPU, against redis_rate", ours, redisRate, cpu, "us CPU", 0)
	add("Go, 64 goroutines, client CPU, against rueidis", ours, rueidisScript, cpu, "us CPU", 0)
	add("Go, one caller, p50, CgoWait, against a raw EVALSHA", oursCgo, raw, p50, "us", 0)
	add("Go, 64 goroutines, CgoWait, against rueidis", oursCgo, rueidisScript, rate,
		"decisions/s", 0)
	return rows, nil
}

func met(yes bool) *bool { return &yes }

func median(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	return sorted[len(sorted)/2]
}

// version of the module that a contestant's name begins with, as it was linked.
func version(contestant string) string {
	info, _ := debug.ReadBuildInfo()
	for _, d := range info.Deps {
		if word, _, _ := strings.Cut(contestant, " "); strings.Contains(d.Path, "/"+word) {
			return word + " " + d.Version
		}
	}
	return contestant
}

func table(rows []row) {
	fmt.Println("| what | ours | peer | ratio | to reach | met |")
	fmt.Println("| --- | --- | --- | --- | --- | --- |")
	for _, r := range rows {
		verdict := "-"
		if r.Met != nil {
			verdict = map[bool]string{true: "yes", false: "no"}[*r.Met]
		}
		fmt.Printf("| %s | %.4g %s | %.4g (%s) | %.2f | %s | %s |\n", r.Row, r.Ours, r.Unit, r.Peer,
			r.PeerVersion, r.Ratio, r.Target, verdict)
	}
}
