// SPDX-License-Identifier: MIT

// A small HTTP service behind a limit. GET / counts against the caller, by x-api-key or address;
// /health is free.
//
//	go run . --store redis://localhost --limit 5/minute
//	curl -i -H 'x-api-key: k_1' localhost:8080/
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"

	"github.com/tidegate/tidegate/bindings/go/tghttp"
)

func main() {
	store := flag.String("store", "", "the store's URL; none: $TIDEGATE_URL, or the embedded store")
	listen := flag.String("listen", "127.0.0.1:8080", "where to listen; port 0: any")
	rate := flag.String("limit", "100/minute", "the rate of each caller")
	name := flag.String("name", "api", "the limit's name, shared with other services on the store")
	flag.Parse()

	limit, err := tghttp.New(tghttp.Config{
		Store:  *store,
		Limit:  *rate,
		Name:   *name,
		Key:    func(r *http.Request) string { return r.Header.Get("x-api-key") },
		Exempt: []string{"/health"},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "healthy")
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "hello from Go")
	})

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	log.Fatal(http.Serve(listener, limit(mux)))
}
