// SPDX-License-Identifier: MIT

// A small HTTP service under examples/policy.yaml: the same API as the FastAPI, Express and Rust
// examples, and on one store the same budgets.
//
//	go run . --store redis://localhost
//	curl -i -H 'x-api-key: k_1' localhost:8080/items
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/tghttp"
)

// besideTheSource is examples/policy.yaml, wherever the service is started.
func besideTheSource() string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "policy.yaml")
}

// maxTokens is the most that a generation may use.
func maxTokens(r *http.Request) int {
	given, err := strconv.ParseUint(r.URL.Query().Get("max_tokens"), 10, 20)
	if err != nil {
		return 500
	}
	return int(given)
}

// generate takes a prompt as text. The policy has reserved max_tokens of the caller's tokens and
// one of two places; what was used is told to it, and the difference given back.
func generate(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	words := strings.Fields(string(body))
	if err != nil || len(words) == 0 {
		http.Error(w, "expected a prompt as the request's body", http.StatusBadRequest)
		return
	}
	time.Sleep(300 * time.Millisecond) // stands in for a model: it "thinks", and says what it used
	answer := words[:min(len(words), maxTokens(r))]
	used := len(words) + len(answer)
	tghttp.Settle(r.Context(), "tokens_used", int64(used))
	w.Header().Set("X-Tokens-Used", strconv.Itoa(used))
	fmt.Fprintln(w, strings.ToUpper(strings.Join(answer, " ")))
}

func sendJSON(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintln(w, text)
	}
}

func main() {
	store := flag.String("store", "", "the store's URL; none: $TIDEGATE_URL, or the embedded store")
	policy := flag.String("policy", besideTheSource(), "which limits requests meet")
	listen := flag.String("listen", "127.0.0.1:8080", "where to listen; port 0: any")
	flag.Parse()

	gate, err := tidegate.Connect(*store, tidegate.UsePolicy(*policy))
	if err != nil {
		log.Fatal(err)
	}
	limit, err := tghttp.New(tghttp.Config{
		Gate:     gate,
		Identity: func(r *http.Request) string { return r.Header.Get("x-api-key") },
		Attributes: func(r *http.Request) tidegate.Attributes {
			return tidegate.Attributes{"tokens": maxTokens(r)}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", sendJSON(`{"status": "ok"}`))
	mux.HandleFunc("GET /items", sendJSON(`[{"id": 1, "name": "first"}, {"id": 2, "name": "second"}]`))
	mux.HandleFunc("POST /report", sendJSON(`{"report": "done"}`))
	mux.HandleFunc("POST /generate", generate)

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	log.Fatal(http.Serve(listener, limit(mux)))
}
